package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// withFiles starts a program with this soft and hard limit on open files.
func withFiles(limit int) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, limit), cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		detached(cmd)
	}
}

// TestDescriptors: a lease costs one descriptor. A server without one for another lease tells its operator
// and the node which limit that is and how to raise it, and has kept enough to serve the existing ports.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	const files, leases = 160, 72 // 160 - 64 for itself, of which leases may have three quarters
	first, err := takePorts(120)
	if err != nil {
		t.Fatal(err)
	}
	n := &tunnel{udp: freePort(t), public: first, data: t.TempDir()}
	n.launch(t, withFiles(files), "--range", fmt.Sprintf("%d-%d", first, first+119), "--max-services", "120")
	descriptors := func() int {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.server.cmd.Process.Pid))
		if err != nil {
			t.Skipf("no /proc: %v", err)
		}
		return len(open)
	}
	before := descriptors()
	upstream, data := echoServer(t), t.TempDir()
	n.allow(t, data)
	var services []string
	for i := range leases + 8 {
		services = append(services, "--upstream", fmt.Sprintf("s%d=%s", i, upstream))
	}
	node := launch(t, nil, "apquic-node", append(services, "--server", n.invitation, "--data-dir", data)...)
	for range leases {
		waitFor(t, node.stdout, `tcp://`)
	}
	waitFor(t, n.server.stderr, `no further public port can be opened: the server may have 160 files open \(ulimit -n\).*LimitNOFILE=`)
	waitFor(t, node.stderr, `160 files open \(ulimit -n\)`)
	if after := descriptors(); after-before > leases+2 {
		t.Errorf("%d leases cost %d descriptors", leases, after-before)
	}
	if text := n.server.stderr.text(); strings.Count(text, "level=ERROR") != 1 {
		t.Error("it is said more than once")
	}
	for i := range 20 {
		n.echo(t, fmt.Sprint("visitor ", i))
	}
}
