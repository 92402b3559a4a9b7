package e2e

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServerKilledAgainAndAgain: as soon as a node is back its address is on disk, so that it notices the
// next kill -9 at once, too, rather than with the next keepalive, which here comes after 40 s.
func TestServerKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	node := launch(t, nil, "apquic-node", "--server", n.invitation, "--upstream", echoServer(t), "--data-dir", t.TempDir(), "--keepalive", "40s")
	waitFor(t, node.stdout, `tcp://`)
	for range 4 {
		connected := waitFor(t, n.server.stderr, `node connected.* from=(\S+)`)
		waitForFile(t, filepath.Join(n.data, "peers"), connected)
		n.server.kill(t, syscall.SIGKILL)
		n.server.status(t)
		n.start(t)
		begin := time.Now()
		waitFor(t, n.server.stderr, `lease .*service=`)
		took := time.Since(begin)
		t.Logf("back after %v", took.Round(time.Millisecond))
		if took > 10*time.Second {
			t.Errorf("back after %v", took)
		}
		n.server.stderr.rewind()
	}
	n.echo(t, "still here")
	if text := node.stdout.text(); strings.Count(text, "\n") != 1 || !regexp.MustCompile(`tcp://127\.0\.0\.1:`).MatchString(text) {
		t.Errorf("the node printed\n%s", text)
	}
}

// TestNodeKilledWithVisitors: visitors that come after kill -9 of a node wait for its next process, which
// serves them, or are refused when the waiting time is over.
func TestNodeKilledWithVisitors(t *testing.T) {
	t.Parallel()
	n := newTunnel(t, "--park", "4s")
	arguments := []string{"--server", n.invitation, "--upstream", echoServer(t), "--data-dir", t.TempDir()}
	killed := launch(t, nil, "apquic-node", arguments...)
	waitFor(t, killed.stdout, `tcp://`)
	n.echo(t, "before")
	killed.kill(t, syscall.SIGKILL)
	killed.status(t)
	begin := time.Now()
	visit := func(text string) net.Conn {
		c, err := net.Dial("tcp", n.address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(maxWait))
		io.WriteString(c, text)
		return c
	}
	refused := visit("refused")
	if _, err := refused.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || time.Since(begin) > 12*time.Second {
		t.Errorf("the first visitor got %v after %v", err, time.Since(begin))
	}
	t.Logf("refused after %v", time.Since(begin).Round(time.Millisecond))
	served := visit("served")
	next := launch(t, nil, "apquic-node", arguments...)
	waitFor(t, next.stdout, `tcp://`)
	answer := make([]byte, len("served"))
	if _, err := io.ReadFull(served, answer); err != nil || string(answer) != "served" {
		t.Errorf("the next visitor got %q, %v", answer, err)
	}
	waitFor(t, n.server.stderr, `took over from a session that did not say goodbye`)
	if strings.Contains(n.server.stderr.text(), "two processes") {
		t.Error("the log speaks of two processes")
	}
}
