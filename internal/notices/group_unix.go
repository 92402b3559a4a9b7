//go:build unix

package notices

import (
	"os/exec"
	"syscall"
)

// inGroup has a command run in a process group of its own, which is killed as a whole when its context ends. end, once
// the command has ended, kills what it left behind.
func inGroup(run *exec.Cmd) (end func()) {
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error {
		if run.Process == nil {
			return nil
		}
		return syscall.Kill(-run.Process.Pid, syscall.SIGKILL)
	}
	run.Cancel = kill
	return func() { kill() } // there is mostly nobody
}
