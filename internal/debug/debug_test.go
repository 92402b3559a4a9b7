package debug

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:6060": "", "[::1]:0": "", "127.0.0.2:1": "",
		"0.0.0.0:6060": "other machines", "[::]:6060": "other machines", "192.168.1.2:6060": `"127.0.0.1:6060"`,
		":6060": "want an IP", "localhost:6060": "want an IP", "127.0.0.1": "want an IP", "": "want an IP",
	} {
		err := CheckAddress(address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
}

// lineWriter hands over what is logged.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestServe(t *testing.T) {
	t.Parallel()
	lines := make(lineWriter, 16)
	stop, err := Start("127.0.0.1:0", t.TempDir(), slog.New(slog.NewTextHandler(lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	url := regexp.MustCompile(`http://[0-9.:]+/debug/`).FindString(<-lines)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path, host, origin string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	for _, test := range []struct {
		path, host, origin string
		status             int
		body               string
	}{
		{"pprof/goroutine?debug=1", "127.0.0.1:6060", "", 200, "goroutine profile"},
		{"pprof/", "localhost", "", 200, "heap"},
		{"vars", "[::1]:80", "", 200, "memstats"},
		{"pprof/heap", "evil.example", "", 403, "only for this machine"},
		{"pprof/heap", "127.0.0.1", "http://evil.example", 403, "only for this machine"},
		{"../", "localhost", "", 404, ""},
	} {
		if status, body := get(test.path, test.host, test.origin); status != test.status || !strings.Contains(body, test.body) {
			t.Errorf("%s for %s: %d %.60s", test.path, test.host, status, body)
		}
	}
}

func TestStartRefusesTheWorld(t *testing.T) {
	t.Parallel()
	if _, err := Start("0.0.0.0:0", t.TempDir(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("profiles are served to the world")
	}
}

func TestDump(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for range 2 { // the second replaces the first
		if err := Dump(folder); err != nil {
			t.Fatal(err)
		}
	}
	entries, _ := os.ReadDir(folder)
	if len(entries) != 2 {
		t.Errorf("the folder has %v", entries)
	}
	stacks, _ := os.ReadFile(filepath.Join(folder, goroutinesFile))
	if !bytes.Contains(stacks, []byte("TestDump")) {
		t.Errorf("no stack of this test in %.200s", stacks)
	}
	if info, err := os.Stat(filepath.Join(folder, heapFile)); err != nil || info.Mode().Perm()&0o077 != 0 || info.Size() == 0 {
		t.Errorf("heap: %v, %v", info, err)
	}
	if err := Dump(filepath.Join(folder, "none")); err == nil {
		t.Error("a dump into a folder that is not there")
	}
}
