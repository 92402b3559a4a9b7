//go:build unix

package e2e

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReloadUnderSystemd: both programs say that they are ready, that they reload and when that is over, and that they
// work; systemctl reload is SIGHUP.
func TestReloadUnderSystemd(t *testing.T) {
	t.Parallel()
	watched := func(m *manager) func(*exec.Cmd) {
		return func(cmd *exec.Cmd) {
			m.service(cmd)
			cmd.Env = append(cmd.Env, "WATCHDOG_USEC=300000")
		}
	}
	m := newManager(t, 0)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, watched(m))
	m.wait("READY=1")
	m.wait("WATCHDOG=1")
	n.server.kill(t, syscall.SIGHUP)
	for _, state := range []string{"RELOADING=1", "READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		m.wait(state)
	}
	own := newManager(t, 0)
	node := n.node(t, watched(own))
	own.wait("READY=1")
	own.wait("WATCHDOG=1")
	node.kill(t, syscall.SIGHUP)
	for _, state := range []string{"RELOADING=1", "READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		own.wait(state)
	}
	node.kill(t, syscall.SIGTERM)
	own.wait("STOPPING=1")
	if status := node.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
