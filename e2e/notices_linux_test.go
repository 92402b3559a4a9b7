package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// told is what a receiver of notices is told.
type told struct {
	Event, Text, Program string
	Attributes           map[string]any
	path                 string
}

// receiver returns the URL of a web server, and what it is told.
func receiver(t *testing.T) (url string, all <-chan told) {
	t.Helper()
	got := make(chan told, 64)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var one told
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err == nil {
			err = json.Unmarshal(body, &one)
		}
		if err != nil {
			t.Errorf("%v in %q", err, body)
		}
		one.path = r.URL.Path
		got <- one
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// next waits for what is told next.
func next(t *testing.T, all <-chan told, event string) told {
	t.Helper()
	select {
	case one := <-all:
		if one.Event != event {
			t.Fatalf("told of %+v, want %s", one, event)
		}
		return one
	case <-time.After(maxWait):
		t.Fatalf("not told of %s", event)
	}
	return told{}
}

// TestNoticeOfKilledNode: a web server is told that a node has joined, has been away since it was killed, and is back; the
// node runs a command when its server is away. Notices follow the file, and a wrong one changes nothing.
func TestNoticeOfKilledNode(t *testing.T) {
	t.Parallel()
	url, all := receiver(t)
	dir := t.TempDir()
	file, secret := filepath.Join(dir, "server.json"), filepath.Join(dir, "url")
	if err := os.WriteFile(secret, []byte(url+"/geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(notices string) {
		t.Helper()
		writeFile(t, file+"~", []byte(`{"idleTimeout": "5s", "notices": [`+notices+`]}`))
		if err := os.Rename(file+"~", file); err != nil {
			t.Fatal(err)
		}
	}
	notice := fmt.Sprintf(`{"events": ["join", "node-away", "node-back"], "after": "1s", "urlFile": %q}`, secret)
	write(notice)
	n := newTunnel(t, "--config", file)

	out := filepath.Join(dir, "out")
	nodeFile := filepath.Join(dir, "node.json")
	writeFile(t, nodeFile, []byte(fmt.Sprintf(`{"notices": [{"events": ["server-away", "server-back"], "after": "1s", "command": ["/bin/sh", "-c", "echo $NOTICE_EVENT >> %s"]}]}`, out)))
	arguments := []string{"--config", nodeFile, "--server", n.invitation, "--upstream", echoServer(t), "--data-dir", filepath.Join(dir, "node"), "--keepalive", "1s"}
	node := launch(t, detached, "apquic-node", arguments...)
	waitFor(t, node.stdout, `tcp://`)
	if one := next(t, all, "join"); one.Program != "apquic-server" || one.path != "/geheim" || one.Attributes["node"] == nil {
		t.Errorf("%+v", one)
	}
	node.kill(t, syscall.SIGKILL)
	if one := next(t, all, "node-away"); !strings.Contains(one.Text, "has been away for") {
		t.Errorf("%+v", one)
	}
	node = launch(t, detached, "apquic-node", arguments...)
	waitFor(t, node.stdout, `tcp://`)
	next(t, all, "node-back")

	n.server.kill(t, syscall.SIGTERM)
	if status := n.server.status(t); status != 0 {
		t.Errorf("the server ends with %d", status)
	}
	waitForFile(t, out, "server-away\n")
	n.start(t, "--config", file)
	waitForFile(t, out, "server-away\nserver-back\n")

	write(`{"events": ["nothing"], "url": "https://ntfy.example.org"}`)
	waitFor(t, n.server.stderr, `not reloaded.*there is no event nothing`)
	write(strings.Replace(notice, `"join"`, `"invite", "stopping"`, 1))
	waitFor(t, n.server.stderr, `a setting has changed.*notices`)
	n.ask(t, "invite")
	next(t, all, "invite")
	n.server.kill(t, syscall.SIGTERM)
	next(t, all, "stopping")
	n.server.status(t)
	for _, p := range []*process{n.server, node} {
		if strings.Contains(p.stderr.text(), "geheim") {
			t.Errorf("the log has a secret:\n%s", p.stderr.text())
		}
	}
}
