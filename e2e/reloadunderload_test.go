package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"apquic/internal/testrace"
)

// TestReloadUnderLoad: both programs reload again and again, by signal and because their files change, while a thousand
// relays run (a quarter under the race detector): each gets every byte back. New clients find what is new.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const size, changes = 64 << 10, 12
	relays := 1000
	if testrace.Detector { // with which a thousand take a minute of two processors
		relays = 250
	}
	dir := t.TempDir()
	write := func(name, format string, args ...any) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path+"~", fmt.Appendf(nil, format, args...), 0o600), os.Rename(path+"~", path)); err != nil {
			t.Fatal(err)
		}
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(dir, "server")}
	server := func(more string) { write("server.json", "{%s}", more) }
	server("")
	n.launch(t, detached, "-c", filepath.Join(dir, "server.json"))
	first, second := echoServer(t), echoServer(t)
	services := func(web, more string) {
		write("node.json", `{"server": %q, "dataDir": %q, "services": {"web": %q%s}}`, n.invitation, filepath.Join(dir, "node"), web, more)
	}
	services(first, "")
	node := launch(t, detached, "apquic-node", "-c", filepath.Join(dir, "node.json"))
	waitFor(t, node.stdout, `^web +tcp://`)

	var transferring sync.WaitGroup
	for i := range relays {
		c, err := net.Dial("tcp", n.address())
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, c, "ready") // it has a relay
		transferring.Go(func() {
			defer c.Close()
			if err := transferSlowly(c, uint64(i), size, changes*time.Second/2); err != nil {
				t.Errorf("relay %d: %v", i, err)
			}
		})
	}
	for i := range changes {
		services([]string{second, first}[i%2], []string{`, "other": {"upstream": "127.0.0.1:1", "public": false}`, ""}[i%2])
		server([]string{`"denyClients": "192.0.2.0/24", "maxClients": 5000`, `"groups": {"photos": ["garage"]}`}[i%2])
		if i%4 < 2 { // otherwise they see it themselves
			node.kill(t, syscall.SIGHUP)
			n.server.kill(t, syscall.SIGHUP)
		}
		waitFor(t, node.stderr, `a setting has changed.*services.web`)
		waitFor(t, n.server.stderr, `a setting has changed.*(groups.photos: added|denyClients: none)`)
		n.echo(t, "new").Close()
	}
	transferring.Wait()
	for _, p := range []*process{node, n.server} {
		if text := p.stderr.text(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "refused") {
			t.Errorf("the log has more than changes:\n%s", text)
		}
	}
}

// transferSlowly sends random bytes through an echo, with pauses, and compares the hash of what comes back.
func transferSlowly(c net.Conn, seed uint64, size int, takes time.Duration) error {
	const chunks = 16
	c.SetDeadline(time.Now().Add(takes + maxWait))
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	sent, got := sha256.New(), sha256.New()
	received := make(chan error, 1)
	go func() {
		_, err := io.CopyN(got, c, int64(size))
		received <- err
	}()
	chunk := make([]byte, size/chunks)
	for range chunks {
		random.Read(chunk)
		sent.Write(chunk)
		if _, err := c.Write(chunk); err != nil {
			return err
		}
		time.Sleep(takes / chunks)
	}
	if err := <-received; err != nil {
		return err
	}
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		return errors.New("other bytes came back")
	}
	return nil
}
