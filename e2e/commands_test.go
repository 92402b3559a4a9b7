package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestCommandsAtOnce: concurrent commands on the files of a stopped server do not lose each other's changes.
func TestCommandsAtOnce(t *testing.T) {
	t.Parallel()
	n := &tunnel{udp: freePort(t), public: freePort(t), data: t.TempDir()}
	n.server = launch(t, nil, "apquic-server", n.serverArguments()...)
	waitFor(t, n.server.stdout, `^(apquic-server invite)`)
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	command := func(args ...string) []byte {
		out, err := exec.Command(filepath.Join(bin, "apquic-server"), append(args, "--data-dir", n.data)...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		return out
	}
	const count = 6
	var inviting sync.WaitGroup
	for i := range count {
		inviting.Go(func() { command("invite", "node-"+strings.Repeat("x", i+1)) })
	}
	inviting.Wait()
	var open []struct{ Name string }
	if err := json.Unmarshal(command("invitation", "--json"), &open); err != nil || len(open) != count {
		t.Errorf("%d invitations of %d: %v", len(open), count, err)
	}
}
