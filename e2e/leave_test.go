//go:build unix

package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leavingNode starts a node that has an echo service and has joined the server, which its settings do not name.
func (n *tunnel) leavingNode(t *testing.T, more ...string) (node *process, data string) {
	t.Helper()
	data = t.TempDir()
	if out, err := exec.Command(filepath.Join(bin, "apquic-node"), "join", n.invitation, "--data-dir", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	node = launch(t, detached, "apquic-node", append([]string{"--upstream", echoServer(t), "--data-dir", data}, more...)...)
	waitFor(t, node.stdout, `tcp://`)
	return node, data
}

// leaveServer runs the command.
func leaveServer(data string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "apquic-node"), "leave", "--yes", "--data-dir", data).CombinedOutput()
	return string(out), err
}

// TestLeaveWithVisitor: who leaves hears at once what came of it, however long a visitor stays; that goes on, and the node
// ends after it, with a status of its own.
func TestLeaveWithVisitor(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	node, data := n.leavingNode(t, "--drain", "1h")
	visitor := n.echo(t, "before")
	begin := time.Now()
	output, err := leaveServer(data)
	if err != nil || !strings.HasPrefix(output, "left ") {
		t.Fatalf("after %v: %v\n%s", time.Since(begin), err, output)
	}
	if _, err := os.Stat(filepath.Join(data, "server")); err == nil {
		t.Error("the server is still known")
	}
	if c, err := net.Dial("tcp", n.address()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
	if output, err := leaveServer(data); err == nil {
		t.Errorf("twice: %s", output)
	}
	exchange(t, visitor, "after")
	visitor.Close()
	if status := node.status(t); status != 4 {
		t.Errorf("exit status %d", status)
	}
}

// TestFailedLeave: if the server does not answer, the node stays with it, and its service has its port and visitors as
// before.
func TestFailedLeave(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	node, data := n.leavingNode(t)
	visitor := n.echo(t, "before")
	n.server.kill(t, syscall.SIGSTOP)
	output, err := leaveServer(data)
	n.server.kill(t, syscall.SIGCONT)
	if err == nil || !strings.Contains(output, "not left: ") || !strings.Contains(output, "--force") {
		t.Errorf("%v\n%s", err, output)
	}
	if _, err := os.Stat(filepath.Join(data, "server")); err != nil {
		t.Error(err)
	}
	exchange(t, visitor, "still here")
	for end := time.Now().Add(maxWait); ; time.Sleep(100 * time.Millisecond) { // its port may have been free for a moment
		if c, err := net.Dial("tcp", n.address()); err == nil {
			exchange(t, c, "again")
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("the service has no port")
		}
	}
	if output, err := leaveServer(data); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	visitor.Close()
	if status := node.status(t); status != 4 {
		t.Errorf("exit status %d", status)
	}
}
