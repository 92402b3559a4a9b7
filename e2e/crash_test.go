package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServerKilledAgainAndAgain: as soon as a node is back its address is on the disk, so that the next kill -9 is
// noticed at once, too, and not with the next keepalive, which comes after 40 s here.
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
