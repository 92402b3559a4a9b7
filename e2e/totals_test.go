package e2e

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kept is the JSON of totals.
type kept struct {
	Total int
	Sum   struct{ BytesIn, BytesOut, Connections uint64 }
	Rows  []struct{ Day, Service string }
}

func (n *tunnel) totals(t *testing.T, arguments ...string) (k kept) {
	t.Helper()
	if err := json.Unmarshal([]byte(n.ask(t, append([]string{"totals", "--json"}, arguments...)...)), &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// TestTotalsSurvive: what has passed is known at once, after the server was stopped, while it does not run, after kill -9
// but for the last minute, and on another machine after a backup and a restore.
func TestTotalsSurvive(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	if text := n.ask(t, "totals"); !strings.HasPrefix(text, "Nothing has passed from ") {
		t.Errorf("before the first visitor: %s", text)
	}
	n.node(t, nil)
	n.echo(t, "hello").Close() // 5 bytes
	wants := func(when string, bytes, connections uint64) {
		t.Helper()
		k := n.totals(t)
		for begin := time.Now(); k.Sum.BytesOut < bytes && time.Since(begin) < maxWait; k = n.totals(t) {
			time.Sleep(50 * time.Millisecond)
		}
		if k.Sum.BytesIn != bytes || k.Sum.BytesOut != bytes || k.Sum.Connections != connections {
			t.Errorf("%s: %+v, want %d bytes and %d connections", when, k, bytes, connections)
		}
	}
	wants("while it runs", 5, 1)
	fits(t, n.ask(t, "totals"))
	fits(t, n.ask(t, "totals", "--by", "day,node", "--days", "400"))

	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	wants("while it does not run", 5, 1)
	if info, err := os.Stat(filepath.Join(n.data, "totals.db")); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	n.start(t)
	waitFor(t, n.server.stderr, `lease .*service=`)
	wants("after a restart", 5, 1)
	c := n.echo(t, "hello again") // 11 bytes
	wants("another visitor", 16, 2)
	saved, passphrase := filepath.Join(t.TempDir(), "saved"), writePassphrase(t, t.TempDir())
	command(t, "backup", saved, "--passphrase-file", passphrase, "--data-dir", n.data) // writes what was not written yet
	if left := namesIn(t, n.data); strings.Contains(left, ".totals") {
		t.Errorf("the copy of the totals is still there: %s", left)
	}
	io.WriteString(c, "lost")
	n.server.kill(t, syscall.SIGKILL)
	n.server.status(t)
	wants("after kill -9", 16, 2)
	if k := n.totals(t, "--by", "all"); k.Total != 1 || k.Rows[0].Day != "" {
		t.Errorf("%+v", k)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	command(t, "restore", saved, "--passphrase-file", passphrase, "--data-dir", moved)
	n.data = moved
	wants("on another machine", 16, 2)
}

// TestTotalsWithoutFile: a server whose file of totals is broken serves visitors, says what to do, and counts on.
func TestTotalsWithoutFile(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	path := filepath.Join(n.data, "totals.db")
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	waitFor(t, n.server.stderr, `totals cannot be written.*has only 6 bytes.*move it away`)
	n.node(t, nil)
	n.echo(t, "hello").Close()
	if k := n.totals(t); k.Sum.BytesIn != 5 {
		t.Errorf("%+v", k)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "broken" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}
