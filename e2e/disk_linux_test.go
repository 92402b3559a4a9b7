package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// disk is a small disk, of which fill leaves so many bytes free.
type disk struct {
	t    *testing.T
	path string
}

func newDisk(t *testing.T, size int) *disk {
	t.Helper()
	d := &disk{t: t, path: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("no file system can be mounted: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(d.path, syscall.MNT_DETACH) })
	return d
}

func (d *disk) fill(leave int) {
	d.t.Helper()
	var is syscall.Statfs_t
	if err := syscall.Statfs(d.path, &is); err != nil {
		d.t.Fatal(err)
	}
	filler := make([]byte, max(int(is.Bavail)*int(is.Bsize)-leave, 0))
	// A running program may take some of it meanwhile; the disk is then as full as it can be.
	if err := os.WriteFile(filepath.Join(d.path, "filler"), filler, 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
}

func (d *disk) free() {
	if err := os.Remove(filepath.Join(d.path, "filler")); err != nil {
		d.t.Fatal(err)
	}
}

const page = 4096

// TestDiskFullAtFirstStart: wherever the first start runs out of space, it says so and what to do, and
// succeeds once there is space again.
func TestDiskFullAtFirstStart(t *testing.T) {
	t.Parallel()
	failed := 0
	for pages := range 24 {
		d := newDisk(t, 1<<20)
		d.fill(pages * page)
		n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(d.path, "server")}
		first := launch(t, detached, "apquic-server", n.serverArguments()...)
		if _, err := first.stdout.await(invitationLine); err != nil {
			failed++
			if status := first.status(t); status != 1 {
				t.Errorf("%d pages: exit status %d", pages, status)
			}
			checkDiskFull(t, fmt.Sprintf("%d pages", pages), first.stderr.text())
		} else {
			first.kill(t, syscall.SIGKILL)
			first.status(t)
		}
		d.free()
		n.start(t)
		n.node(t, nil)
		n.echo(t, "works")
		n.server.kill(t, syscall.SIGKILL)
		n.server.status(t)
		n.start(t) // and is durable
	}
	if failed < 3 || failed > 20 {
		t.Errorf("the first start failed at %d fill levels: others would be of interest", failed)
	}
}

func checkDiskFull(t *testing.T, when, text string) {
	t.Helper()
	if !strings.Contains(text, "no space left on device") || !strings.Contains(text, "hint: the disk is full: make room on it") {
		t.Errorf("%s, the program says:\n%s", when, text)
	}
}

// TestDiskFullAtNode: the same for the first start of a node.
func TestDiskFullAtNode(t *testing.T) {
	t.Parallel()
	for pages := range 3 {
		n := newTunnel(t, "--open")
		d := newDisk(t, 1<<20)
		d.fill(pages * page)
		arguments := []string{"--server", n.invitation, "--upstream", echoServer(t), "--data-dir", filepath.Join(d.path, "node")}
		first := launch(t, detached, "apquic-node", arguments...)
		if _, err := first.stdout.await(leaseLine); err != nil {
			checkDiskFull(t, fmt.Sprintf("%d pages", pages), first.stderr.text())
		}
		first.cmd.Process.Kill()
		first.status(t)
		if pages == 0 && !errors.Is(os.Remove(filepath.Join(d.path, "node", "key")), os.ErrNotExist) {
			t.Error("there is a key although there was no space for one")
		}
		d.free()
		next := launch(t, detached, "apquic-node", arguments...)
		waitFor(t, next.stdout, `tcp://`)
		next.kill(t, syscall.SIGTERM)
		next.status(t)
	}
}

// TestDiskFullWhileRunning: a node that asks for a port while the disk is full is told so, and gets it once
// there is space again; existing ports are served all the time.
func TestDiskFullWhileRunning(t *testing.T) {
	t.Parallel()
	d := newDisk(t, 1<<20)
	first, err := takePorts(60)
	if err != nil {
		t.Fatal(err)
	}
	n := &tunnel{udp: freePort(t), public: first, data: filepath.Join(d.path, "server")}
	n.launch(t, detached, "--range", fmt.Sprintf("%d-%d", first, first+59), "--max-services", "60")
	arguments := []string{"--server", n.invitation, "--data-dir", t.TempDir(), "--upstream", "first=" + echoServer(t)}
	d.fill(0)
	joining := launch(t, nil, "apquic-node", arguments...)
	waitFor(t, n.server.stderr, `no space left on device|joined=true`)
	d.free()
	stop := func(p *process) {
		p.kill(t, syscall.SIGTERM)
		p.status(t)
	}
	stop(joining) // a person would wait up to a minute
	joined := launch(t, nil, "apquic-node", arguments...)
	waitFor(t, joined.stdout, `tcp://`)

	upstream, data := echoServer(t), t.TempDir()
	n.allow(t, data)
	arguments = []string{"--server", n.invitation, "--data-dir", data}
	for i := range 49 {
		arguments = append(arguments, "--upstream", fmt.Sprintf("s%d=%s", i, upstream))
	}
	d.fill(0)
	asking := launch(t, nil, "apquic-node", arguments...)
	waitFor(t, n.server.stderr, `request refused.*no space left on device`)
	n.echo(t, "is served")
	d.free()
	for range 49 {
		waitFor(t, asking.stdout, `tcp://`)
	}
	n.server.kill(t, syscall.SIGKILL)
	n.server.status(t)
	n.server = launch(t, detached, "apquic-server", n.serverArguments("--range", fmt.Sprintf("%d-%d", first, first+59))...)
	waitFor(t, n.server.stderr, `listening for nodes.* leases=50`)
}
