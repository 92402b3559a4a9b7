package netmon

import (
	"context"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSubscribe: the kernel tells of a new address, in a network namespace of the test's own.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	events, unshared, ended := make(chan struct{}, 1), make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		unshared <- err
		if err != nil {
			return
		}
		// The child inherits the namespace of this thread.
		command := exec.CommandContext(ctx, "sh", "-c",
			"while :; do ip address add 127.0.0.77/32 dev lo; ip address del 127.0.0.77/32 dev lo; done")
		if err := command.Start(); err != nil {
			t.Error(err)
		}
		if err := subscribe(ctx, events); err != nil {
			t.Error(err)
		}
		command.Wait()
	}()
	if err := <-unshared; err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	select {
	case <-events:
	case <-ctx.Done():
		t.Error("the kernel told nothing")
	}
	cancel()
	<-ended
}
