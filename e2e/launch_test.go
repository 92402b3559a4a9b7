package e2e

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launch starts a program in a test that is not a script. change, if not nil, may first change the command.
func launch(t *testing.T, change func(*exec.Cmd), program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(filepath.Join(bin, program), args...), stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{})}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if change != nil {
		change(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		p.stdout.close()
		p.stderr.close()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s said on stdout:\n%s\n%s said on stderr:\n%s", program, p.stdout.text(), program, p.stderr.text())
		}
	})
	return p
}

// waitFor returns the last group of the next matching line.
func waitFor(t *testing.T, from *output, pattern string) string {
	t.Helper()
	match, err := from.await(regexp.MustCompile(pattern))
	if err != nil {
		t.Fatal(err)
	}
	return match[len(match)-1]
}

func (p *process) kill(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// status waits for the end and returns the exit status; -1: a signal.
func (p *process) status(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(maxWait):
		t.Fatal("it still runs")
	}
	return p.cmd.ProcessState.ExitCode()
}

// freePort is an unused UDP and TCP port.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := takePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// echoServer answers with what it gets, and returns its address.
func echoServer(t *testing.T) string {
	t.Helper()
	return serveEach(t, func(c net.Conn) { io.Copy(c, c) })
}

// serveEach serves each connection to the address that it returns.
func serveEach(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// detached gives a process a session of its own, without a terminal.
func detached(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// tunnel is a server and what a node needs to use it.
type tunnel struct {
	udp, public int
	data        string
	invitation  string
	server      *process
}

// serverArguments are those of a server with one public port.
func (n *tunnel) serverArguments(more ...string) []string {
	return append([]string{"--listen", "127.0.0.1:" + strconv.Itoa(n.udp), "--range", strconv.Itoa(n.public),
		"--public-host", "127.0.0.1", "--data-dir", n.data}, more...)
}

func newTunnel(t *testing.T, more ...string) *tunnel {
	t.Helper()
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.start(t, more...)
	return n
}

func (n *tunnel) start(t *testing.T, more ...string) {
	t.Helper()
	n.launch(t, detached, more...)
}

// launch starts the server and waits until it has said how to admit nodes.
func (n *tunnel) launch(t *testing.T, change func(*exec.Cmd), more ...string) {
	t.Helper()
	n.server = launch(t, change, "apquic-server", n.serverArguments(more...)...)
	if _, err := n.server.stdout.await(invitationLine); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(filepath.Join(bin, "apquic-server"), "invite", "--data-dir", n.data).Output()
	if err != nil {
		t.Fatal(err)
	}
	n.invitation = strings.TrimSpace(string(text))
}

// allow admits the node with this data directory: unlike one with an invitation it is not a newcomer.
func (n *tunnel) allow(t *testing.T, data string) {
	t.Helper()
	id, err := exec.Command(filepath.Join(bin, "apquic-node"), "id", "--data-dir", data).Output()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(filepath.Join(bin, "apquic-server"), "allow", strings.TrimSpace(string(id)), "--data-dir", n.data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// Lines on the programs' stdout.
var (
	invitationLine = regexp.MustCompile(`^apquic(-server invite|://)`)
	leaseLine      = regexp.MustCompile(`tcp://`)
)

func (n *tunnel) address() string { return "127.0.0.1:" + strconv.Itoa(n.public) }

// echo sends a line through the tunnel and expects it back.
func (n *tunnel) echo(t *testing.T, line string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", n.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	exchange(t, c, line)
	return c
}

func exchange(t *testing.T, c net.Conn, line string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(maxWait))
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(line))
	if n, err := io.ReadFull(c, answer); err != nil || string(answer) != line {
		t.Fatalf("sent %q, got %q: %v", line, answer[:n], err)
	}
}

// waitForFile waits until a file has a text.
func waitForFile(t *testing.T, path, text string) {
	t.Helper()
	for end := time.Now().Add(maxWait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if content, _ := os.ReadFile(path); strings.Contains(string(content), text) {
			return
		}
	}
	t.Fatalf("%s never had %q", path, text)
}
