//go:build !linux

package notices

import "os/exec"

// start starts a command.
func start(run *exec.Cmd) error { return run.Start() }
