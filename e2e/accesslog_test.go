package e2e

import (
	"encoding/json"
	"fmt"
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
	awaitFile(t, path)
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

// awaitFile waits until a program has made a file.
func awaitFile(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(maxWait); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the file is not opened")
		}
	}
}

// TestAccessLogOfNode: the node writes a line for each visitor, too, once its settings ask for that, also after the file
// was moved and the node told so.
func TestAccessLogOfNode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	n := newTunnel(t)
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
	config, data := filepath.Join(t.TempDir(), "node.json"), t.TempDir()
	write := func(more string) {
		t.Helper()
		text := `{"server": "` + n.invitation + `", "dataDir": "` + data + `", "services": {"echo": "` + service.Addr().String() + `"}` + more + `}`
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	node := launch(t, nil, "apquic-node", "-c", config)
	waitFor(t, node.stdout, `echo +tcp://`)
	n.echo(t, "unseen").Close()
	write(`, "accessLog": "` + path + `"`)
	node.kill(t, syscall.SIGHUP)
	awaitFile(t, path)
	n.echo(t, "hello").Close()
	line := awaitLine(t, path)
	var told struct {
		Service, End, Client, Node string
		BytesIn, BytesOut          int
		Port                       int
		FirstByteSeconds           float64
	}
	if err := json.Unmarshal([]byte(line), &told); err != nil || told.Service != "echo" || told.BytesIn != 5 || told.BytesOut != 5 ||
		told.Port != n.public || told.End != "closed" || told.FirstByteSeconds == 0 || told.Node == "" || !strings.HasPrefix(told.Client, "127.0.0.1:") {
		t.Errorf("%s: %v", line, err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	node.kill(t, syscall.SIGHUP)
	awaitFile(t, path)
	service.Close()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(n.public)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line = awaitLine(t, path); !strings.Contains(line, `"end":"refused"`) {
		t.Errorf("of a service that has gone: %s", line)
	}
}
