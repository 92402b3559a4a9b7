//go:build linux

package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	prefix = "apquic-test-" // then the id of the test's process, the number of its network, the role
	folder = "/run/netns"
)

// networks counts those of this process.
var networks atomic.Int64

// namespace is a machine with a network of its own.
type namespace struct {
	t    testing.TB
	name string
}

func newNamespace(t testing.TB, network int64, role string) *namespace {
	t.Helper()
	n := &namespace{t, fmt.Sprintf("%s%d-%d-%s", prefix, os.Getpid(), network, role)}
	run(t, "", "ip", "netns", "add", n.name)
	t.Cleanup(func() { run(t, "", "ip", "netns", "delete", n.name) })
	n.ip("link set lo up")
	return n
}

// ip changes the network as ip-batch does.
func (n *namespace) ip(lines ...string) {
	n.t.Helper()
	run(n.t, strings.Join(lines, "\n")+"\n", "ip", "-n", n.name, "-batch", "-")
}

// run runs a program inside and returns what it printed.
func (n *namespace) run(stdin, command string, arguments ...string) string {
	n.t.Helper()
	return run(n.t, stdin, "ip", append([]string{"netns", "exec", n.name, command}, arguments...)...)
}

// do calls f on a thread inside: the sockets that f makes belong to the namespace for ever. The thread ends
// with the goroutine that locks it, so that no other goroutine ever runs inside.
func (n *namespace) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			file, err := os.Open(filepath.Join(folder, n.name))
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering %s: %w", n.name, err)
			}
			return f()
		}()
	}()
	return <-done
}

// run runs a command of the system and returns its stdout.
func run(t testing.TB, stdin, command string, arguments ...string) string {
	t.Helper()
	cmd := exec.Command(command, arguments...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, stdin, complaint.String())
		if !strings.Contains(strings.Join(arguments, " "), "netns delete") { // a cleanup goes on
			t.FailNow()
		}
	}
	return out.String()
}

// sweep removes the namespaces of earlier tests that were killed, and the processes in them.
func sweep() {
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		rest, ours := strings.CutPrefix(entry.Name(), prefix)
		owner, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(owner)
		if !ours || err != nil || unix.Kill(pid, 0) == nil {
			continue
		}
		inside, _ := exec.Command("ip", "netns", "pids", entry.Name()).Output()
		for _, id := range strings.Fields(string(inside)) {
			if pid, err := strconv.Atoi(id); err == nil {
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		exec.Command("ip", "netns", "delete", entry.Name()).Run()
	}
}
