package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// oneSignal is how long a program takes another signal for the same one.
const oneSignal = 300 * time.Millisecond

// node starts one that exposes an echo service through the tunnel, and waits for its address.
func (n *tunnel) node(t *testing.T, change func(*exec.Cmd), more ...string) *process {
	t.Helper()
	arguments := append([]string{"--server", n.invitation, "--upstream", echoServer(t), "--data-dir", t.TempDir()}, more...)
	p := launch(t, change, "apquic-node", arguments...)
	waitFor(t, p.stdout, `tcp://`)
	return p
}

// TestSignalTwice: a signal that comes twice at once, as from GNU timeout, counts once: the node closes its
// connection.
func TestSignalTwice(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	data := t.TempDir()
	for range 8 {
		node := n.node(t, nil, "--data-dir", data)
		node.kill(t, syscall.SIGTERM)
		node.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		if status := node.status(t); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		if reason := waitFor(t, n.server.stderr, `node disconnected.* reason="?([^"]*)`); reason != "the node was stopped" {
			t.Fatalf("the server noticed: %s", reason)
		}
	}
}

// TestSecondSignal: after the first ^C the program says what it waits for; a second one ends it at once, and
// the other side still learns of it.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"apquic-node", "apquic-server"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			n := newTunnel(t, "--drain", "1h")
			node := n.node(t, nil, "--drain", "1h")
			stopped, witness, goodbye := node, n.server, `node disconnected.*the node was stopped`
			if program == "apquic-server" {
				stopped, witness, goodbye = n.server, node, `not connected.*was stopped`
			}
			n.echo(t, "running")
			stopped.kill(t, syscall.SIGINT)
			waitFor(t, stopped.stderr, `waiting up to 3600 s for 1 connection; \^C again ends now`)
			time.Sleep(oneSignal) // what a person would need to read that
			begin := time.Now()
			stopped.kill(t, syscall.SIGINT)
			if status := stopped.status(t); status != 0 {
				t.Errorf("exit status %d", status)
			}
			t.Logf("ended after %v", time.Since(begin).Round(time.Millisecond))
			waitFor(t, witness.stderr, goodbye)
		})
	}
}

// pseudoTerminal returns both ends of one.
func pseudoTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return person, program
}

// TestTerminalClosed: a program that was started on a terminal ends with it, even if its output went
// elsewhere, and closes its connection.
func TestTerminalClosed(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	person, terminal := pseudoTerminal(t)
	node := n.node(t, func(cmd *exec.Cmd) {
		cmd.Stdin = terminal
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	terminal.Close()
	person.Close()
	if status := node.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	waitFor(t, n.server.stderr, `node disconnected.*the node was stopped`)
}

// TestHangup: without a terminal SIGHUP ends nothing.
func TestHangup(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	node := n.node(t, detached)
	server := n.server
	node.kill(t, syscall.SIGHUP)
	waitFor(t, node.stderr, `SIGHUP`)
	server.kill(t, syscall.SIGHUP)
	if got := strings.Contains(server.stderr.text(), "error"); got {
		t.Error("the server complains")
	}
	n.echo(t, "still here")
}
