package notices

import (
	"errors"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// start starts a command without the ambient capabilities that the program may have for ports below 1024.
func start(run *exec.Cmd) error {
	started := make(chan error)
	go func() {
		// Threads have them, and a command those of the thread that starts it. This one ends with its goroutine.
		runtime.LockOSThread()
		err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
		if err == nil || errors.Is(err, unix.EINVAL) { // before Linux 4.3 there are none
			err = run.Start()
		}
		started <- err
	}()
	return <-started
}
