package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"apquic/internal/hint"
)

// TestLink: whoever may read the data directory gets a link with the token, on the socket alone, and nothing of it is
// in the log.
func TestLink(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	folder := t.TempDir()
	token := strings.Repeat("+/&%=#", 6)
	if err := os.WriteFile(filepath.Join(folder, TokenName), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := Address{DataDir: folder, Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))}
	stop, err := a.WithPage(http.NotFoundHandler(), "apquic-node dashboard").Answer(http.HandlerFunc(inside))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	address := regexp.MustCompile(`url=(http://\S+/)`).FindStringSubmatch(log.String())[1]
	link, err := Link(t.Context(), folder)
	if want := address + "#token=%2B%2F%26%25%3D%23%2B"; err != nil || !strings.HasPrefix(link, want) {
		t.Errorf("%s: %v, want %s", link, err, want)
	}
	if !strings.Contains(log.String(), `command="apquic-node dashboard"`) || strings.Contains(log.String(), "#token") || strings.Contains(log.String(), token) {
		t.Errorf("the log has %s", log.String())
	}
	request, err := http.NewRequest(http.MethodGet, address+strings.TrimPrefix(doorPath, "/"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); strings.Contains(string(text), "token") {
		t.Errorf("at the address it says %s", text)
	}
}

// TestNoLink: a program without an address, and one that does not run, say what to do.
func TestNoLink(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := Link(t.Context(), folder); !isNotRunning(err) {
		t.Errorf("nothing runs: %v", err)
	}
	stop, err := Address{DataDir: folder, Log: slog.New(slog.DiscardHandler)}.WithPage(http.NotFoundHandler(), "").Answer(http.HandlerFunc(inside))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := Link(context.Background(), folder); err == nil || !strings.Contains(hint.Of(err), "--dashboard 127.0.0.1:8091") {
		t.Errorf("without an address: %v", err)
	}
}

func isNotRunning(err error) bool {
	_, is := errors.AsType[*NotRunningError](err)
	return is
}

// TestDoorOf: a link leads to an address that a browser can ask for.
func TestDoorOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		at    string
		hosts []string
		want  string
	}{
		{"127.0.0.1:8091", []string{"tunnel.example.com"}, "http://127.0.0.1:8091/"}, {"[::1]:8091", nil, "http://[::1]:8091/"},
		{"[::]:8091", []string{"tunnel.example.com"}, "http://tunnel.example.com:8091/"}, {"0.0.0.0:8091", nil, "http://127.0.0.1:8091/"},
	} {
		at, err := net.ResolveTCPAddr("tcp", test.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := doorOf("http", at, test.hosts, "").Link; got != test.want {
			t.Errorf("%s: %s, want %s", test.at, got, test.want)
		}
	}
}
