package e2e

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLiveView: on a terminal a node shows where it is reached, and a visitor while they are connected; ^C ends it, and
// leaves the terminal as it was. Somebody who wants lines gets them.
func TestLiveView(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	data := t.TempDir()
	n.allow(t, data)
	view := onScreen(t, "apquic-node --server '"+n.invitation+"' --upstream "+echoServer(t)+" --data-dir "+data)
	view.await(t, "tcp://"+n.address()+"  -> tcp://")
	view.await(t, "connected to 127.0.0.1:")
	view.await(t, "no visitors yet")
	c := n.echo(t, "hello")
	view.await(t, c.LocalAddr().String())
	view.await(t, "1 open")
	c.Close()
	view.await(t, "  left ")
	if strings.Contains(view.drawn, "time=20") || strings.Contains(view.drawn, "\x1b[?") {
		t.Errorf("there are lines of the log, or the terminal is in another mode: %q", view.drawn)
	}
	view.interrupt(t)
	lines := onScreen(t, "apquic-node --plain --server '"+n.invitation+"' --upstream "+echoServer(t)+" --data-dir "+data)
	lines.await(t, "tcp://"+n.address()+" -> tcp://")
	if strings.Contains(lines.drawn, "\x1b") {
		t.Errorf("%q", lines.drawn)
	}
	lines.interrupt(t)
}

// TestStoppedScreen: after ^S a terminal takes nothing more; the node can be stopped all the same.
func TestStoppedScreen(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	view := onScreen(t, "apquic-node --server '"+n.invitation+"' --upstream "+echoServer(t)+" --data-dir "+t.TempDir())
	view.await(t, "tcp://"+n.address()+"  -> tcp://")
	io.WriteString(view.keyboard, "\x13")
	n.echo(t, "hello").Close() // which it would show
	pid := strconv.Itoa(view.command.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		t.Fatal(err)
	}
	node, err := strconv.Atoi(strings.Fields(string(children))[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(node, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, n.server.stderr, `node disconnected`)
	rest, _ := io.ReadAll(view.reader)
	if err := view.command.Wait(); err != nil {
		t.Errorf("after ^S and SIGTERM: %v\n%s", err, rest)
	}
}

// screen is a program on a terminal.
type screen struct {
	command  *exec.Cmd
	keyboard io.WriteCloser
	reader   *bufio.Reader
	drawn    string
}

// onScreen starts a command line on a terminal of its own.
func onScreen(t *testing.T, line string) *screen {
	t.Helper()
	s := &screen{command: exec.Command(realProgram(t, "script"), "-qec", "exec "+bin+"/"+line, "/dev/null")}
	s.command.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1")
	var err error
	if s.keyboard, err = s.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	s.reader = bufio.NewReader(out)
	overdue := time.AfterFunc(maxWait, func() { s.command.Process.Kill() })
	t.Cleanup(func() { overdue.Stop(); s.command.Process.Kill() })
	return s
}

// await reads until text has been drawn.
func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	part := make([]byte, 4096)
	for !strings.Contains(s.drawn, text) {
		k, err := s.reader.Read(part)
		if s.drawn += string(part[:k]); err != nil {
			t.Fatalf("no %q: %v after %q", text, err, s.drawn)
		}
	}
}

// interrupt types ^C, after which the program must end without a failure.
func (s *screen) interrupt(t *testing.T) {
	t.Helper()
	io.WriteString(s.keyboard, "\x03")
	rest, _ := io.ReadAll(s.reader)
	if err := s.command.Wait(); err != nil {
		t.Errorf("after ^C: %v\n%s", err, rest)
	}
}
