//go:build unix

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestCommandsAtStoppedPrograms: commands soon distinguish a program that hangs from one that is not running.
func TestCommandsAtStoppedPrograms(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	data := t.TempDir()
	node := n.node(t, nil, "--data-dir", data)
	commands := [][]string{
		{"apquic-server", "status", "--data-dir", n.data}, {"apquic-server", "nodes", "--json", "--data-dir", n.data},
		{"apquic-server", "invite", "--data-dir", n.data}, {"apquic-node", "status", "--data-dir", data},
	}
	ask := func(check func(command []string, out string, err error)) {
		var asking sync.WaitGroup
		for _, command := range commands {
			asking.Go(func() {
				out, err := exec.Command(filepath.Join(bin, command[0]), command[1:]...).CombinedOutput()
				check(command, string(out), err)
			})
		}
		asking.Wait()
	}
	n.server.kill(t, syscall.SIGSTOP)
	node.kill(t, syscall.SIGSTOP)
	begin := time.Now()
	ask(func(command []string, out string, err error) {
		if err == nil || !strings.Contains(out, "does not answer within 5s") || !strings.Contains(out, "hint: it hangs") {
			t.Errorf("%q: %v\n%s", command, err, out)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%q took %v", command, took)
		}
	})
	n.server.kill(t, syscall.SIGCONT)
	node.kill(t, syscall.SIGCONT)
	ask(func(command []string, out string, err error) {
		if err != nil {
			t.Errorf("%q when it goes on: %v\n%s", command, err, out)
		}
	})
}
