package e2e

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAccessLogAndCanary: the real programs: a line for each connection, also after the file was moved and the server
// told so; and a service that is asked, and told when its program has gone.
func TestAccessLogAndCanary(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	n := newTunnel(t, "--access-log", path)
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	go func() {
		for {
			c, err := service.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	config := filepath.Join(t.TempDir(), "node.json")
	text := `{"server": "` + n.invitation + `", "dataDir": "` + t.TempDir() + `", "services": {"echo": {"upstream": "` + service.Addr().String() + `", "canary": "10s"}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	node := launch(t, nil, "apquic-node", "-c", config)
	waitFor(t, node.stdout, `echo +tcp://`)
	n.echo(t, "hello").Close()
	line := awaitLine(t, path)
	var told struct {
		Service, End, Client string
		BytesIn, BytesOut    int
		Port                 int
	}
	if err := json.Unmarshal([]byte(line), &told); err != nil || told.Service != "echo" || told.BytesIn != 5 || told.BytesOut != 5 || told.Port == 0 || told.End != "closed" || !strings.HasPrefix(told.Client, "127.0.0.1:") {
		t.Errorf("%s: %v", line, err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	n.server.kill(t, syscall.SIGHUP)
	for end := time.Now().Add(maxWait); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the file is not opened again")
		}
	}
	n.echo(t, "again").Close()
	awaitLine(t, path)
	service.Close()
	waitFor(t, n.server.stderr, `does not answer its canary`)
}

// awaitLine returns the first line of a file once there is one.
func awaitLine(t *testing.T, path string) string {
	t.Helper()
	for end := time.Now().Add(maxWait); ; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(path)
		if line, _, whole := strings.Cut(string(text), "\n"); whole {
			return line
		}
		if time.Now().After(end) {
			t.Fatalf("%s has no line", path)
		}
	}
}
