//go:build unix

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// manager plays the part of systemd for one service: it keeps what the service stores, and gives it to the
// next process.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
	slow time.Duration // between a message and what is done about it

	closing  sync.WaitGroup
	starting sync.Mutex // held while a process with the kept sockets starts

	mu     sync.Mutex
	states []string
	kept   map[string]*os.File
}

// newManager starts a manager that takes this long for each message.
func newManager(t *testing.T, slow time.Duration) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "apquic") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{t: t, slow: slow, path: filepath.Join(dir, "notify"), kept: make(map[string]*os.File)}
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(m.read)
	t.Cleanup(func() {
		m.conn.Close()
		reading.Wait()
		m.closing.Wait()
		for _, file := range m.kept {
			file.Close()
		}
		os.RemoveAll(dir)
	})
	return m
}

func (m *manager) read() {
	text, rights := make([]byte, 4096), make([]byte, 4096)
	for {
		n, k, _, _, err := m.conn.ReadMsgUnix(text, rights)
		if err != nil {
			return
		}
		m.heed(string(text[:n]), rights[:k])
	}
}

func (m *manager) heed(text string, rights []byte) {
	time.Sleep(m.slow)
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := strings.Split(text, "\n")
	name := ""
	for _, line := range lines {
		if after, ok := strings.CutPrefix(line, "FDNAME="); ok {
			name = after
		}
	}
	messages, _ := syscall.ParseSocketControlMessage(rights)
	for _, message := range messages {
		fds, _ := syscall.ParseUnixRights(&message)
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			if !slices.Contains(lines, "FDSTORE=1") {
				syscall.Close(fd) // of a barrier
				continue
			}
			m.keep(name, os.NewFile(uintptr(fd), name))
		}
	}
	if slices.Contains(lines, "FDSTOREREMOVE=1") && m.kept[name] != nil {
		file := m.kept[name]
		delete(m.kept, name)
		m.closing.Go(func() { // systemd closes in another thread
			time.Sleep(m.slow * 3 / 2)
			m.starting.Lock() // the process that asked has started; the race detector must know, too
			defer m.starting.Unlock()
			file.Close()
		})
	}
	m.states = append(m.states, lines[0])
}

// keep keeps a socket beside others of the same name, as systemd does: the first one stays the first.
func (m *manager) keep(name string, file *os.File) {
	if m.kept[name] != nil {
		m.t.Errorf("two sockets have the name %s", name)
		file.Close()
		return
	}
	m.kept[name] = file
}

func (m *manager) wait(state string) {
	m.t.Helper()
	for end := time.Now().Add(maxWait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		m.mu.Lock()
		i := slices.Index(m.states, state)
		if i >= 0 {
			m.states = m.states[i+1:]
		}
		m.mu.Unlock()
		if i >= 0 {
			return
		}
	}
	m.t.Fatalf("the service never said %s", state)
}

func (m *manager) names() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.kept {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// service makes a program start as under systemd: with the notification socket and the kept sockets.
func (m *manager) service(cmd *exec.Cmd) {
	detached(cmd)
	names := m.names()
	m.mu.Lock()
	defer m.mu.Unlock()
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+m.path)
	if len(names) == 0 {
		return
	}
	for _, name := range names {
		cmd.ExtraFiles = append(cmd.ExtraFiles, m.kept[name])
	}
	cmd.Env = append(cmd.Env, fmt.Sprint("LISTEN_FDS=", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

// launch starts a server with the kept sockets.
func (m *manager) launch(t *testing.T, n *tunnel) *process {
	t.Helper()
	m.starting.Lock()
	defer m.starting.Unlock()
	return launch(t, m.service, "apquic-server", n.serverArguments()...)
}

// TestRestartWithoutAHole: visitors that come while the service restarts wait for the next process, which
// serves them.
func TestRestartWithoutAHole(t *testing.T) {
	t.Parallel()
	m := newManager(t, 0)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, m.service)
	m.wait("READY=1")
	n.node(t, nil)
	n.echo(t, "before").Close()
	for range 2 {
		if names := m.names(); len(names) != 2 {
			t.Fatalf("kept are %q, not the UDP socket and the one public port", names)
		}
		n.server.kill(t, syscall.SIGTERM)
		m.wait("STOPPING=1")
		if status := n.server.status(t); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		visitor, err := net.Dial("tcp", n.address())
		if err != nil {
			t.Fatalf("while nobody runs: %v", err)
		}
		io.WriteString(visitor, "meanwhile")
		begin := time.Now()
		n.server = m.launch(t, n)
		m.wait("READY=1")
		answer := make([]byte, len("meanwhile"))
		visitor.SetDeadline(time.Now().Add(maxWait))
		if _, err := io.ReadFull(visitor, answer); err != nil || string(answer) != "meanwhile" {
			t.Fatalf("the visitor got %q, %v", answer, err)
		}
		visitor.Close()
		t.Logf("served %v after the start", time.Since(begin).Round(time.Millisecond))
	}
}

// TestDatagramsDuringRestart: clients that send over UDP while no server runs are not refused, since systemd
// keeps the socket; that of a lease which changes to TCP is closed.
func TestDatagramsDuringRestart(t *testing.T) {
	t.Parallel()
	echo, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for buffer := make([]byte, 2048); ; {
			n, from, err := echo.ReadFrom(buffer)
			if err != nil {
				return
			}
			echo.WriteTo(buffer[:n], from)
		}
	}()
	m := newManager(t, 0)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, m.service)
	m.wait("READY=1")
	data := t.TempDir()
	arguments := []string{"--server", n.invitation, "--data-dir", data}
	node := launch(t, detached, "apquic-node", append(arguments, "--upstream", "web=udp://"+echo.LocalAddr().String())...)
	waitFor(t, node.stdout, `^(web  udp://)`)
	client, err := net.Dial("udp4", n.address())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	for range 2 { // the second one would return the refusal of the first
		if _, err := client.Write([]byte("meanwhile")); err != nil {
			t.Fatalf("while nobody runs: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	n.server = m.launch(t, n)
	m.wait("READY=1")
	client.SetReadDeadline(time.Now().Add(maxWait))
	answer := make([]byte, 100)
	// The node may not be back when the datagram is read: clients repeat what is lost.
	waitFor(t, n.server.stderr, `(msg=lease) .*service=web`)
	client.Write([]byte("again"))
	if got, err := client.Read(answer); err != nil {
		t.Fatalf("the client got %q, %v", answer[:got], err)
	}
	if names := m.names(); len(names) != 2 {
		t.Errorf("kept are %q", names)
	}
	node.kill(t, syscall.SIGTERM)
	node.status(t)
	node = launch(t, detached, "apquic-node", append(arguments, "--upstream", "web="+echoServer(t))...)
	waitFor(t, node.stdout, `^(web  tcp://)`)
	n.echo(t, "now over TCP")
	for end := time.Now().Add(maxWait); ; time.Sleep(10 * time.Millisecond) {
		names := m.names()
		if len(names) == 2 && !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "packet") }) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("kept are %q", names)
		}
	}
}

// TestKeptSocketsOfEndedLeases: sockets that the next process does not need are closed, also by systemd.
func TestKeptSocketsOfEndedLeases(t *testing.T) {
	t.Parallel()
	m := newManager(t, 0)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, m.service)
	n.node(t, nil)
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	before := m.names()
	if err := os.Remove(filepath.Join(n.data, "leases.db")); err != nil {
		t.Fatal(err)
	}
	n.public = freePort(t)
	n.server = m.launch(t, n)
	m.wait("READY=1")
	waitFor(t, n.server.stderr, `lease .*service=web`)
	after := m.names()
	for end := time.Now().Add(maxWait); len(after) < 2 && time.Now().Before(end); after = m.names() {
		time.Sleep(10 * time.Millisecond) // systemd gets the socket in a datagram
	}
	if len(before) != 2 || len(after) != 2 || slices.Equal(before, after) {
		t.Errorf("kept were %q before and %q after", before, after)
	}
	n.echo(t, "works")
}

// TestPortOfEndedLeaseUnderSystemd: a port whose lease ended while no server ran is leased at once, although
// systemd still has its socket for a moment.
func TestPortOfEndedLeaseUnderSystemd(t *testing.T) {
	t.Parallel()
	m := newManager(t, 400*time.Millisecond)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, m.service)
	m.wait("READY=1")
	n.node(t, nil)
	n.server.kill(t, syscall.SIGTERM)
	m.wait("STOPPING=1")
	n.server.status(t)
	if err := os.Remove(filepath.Join(n.data, "leases.db")); err != nil {
		t.Fatal(err)
	}
	n.server = m.launch(t, n)
	waitFor(t, n.server.stderr, `lease .*service=web`)
	if log := n.server.stderr.text(); strings.Contains(log, "cannot be opened") {
		t.Errorf("the port was not free at once:\n%s", log)
	}
	n.echo(t, "works")
}

// TestSocketsWithoutSystemd: inherited sockets are closed if there is no systemd to talk to, because nobody
// would serve clients that wait in them.
func TestSocketsWithoutSystemd(t *testing.T) {
	t.Parallel()
	abandoned, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := abandoned.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, func(cmd *exec.Cmd) {
		detached(cmd)
		cmd.ExtraFiles = []*os.File{file}
		cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=tcp")
		cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	})
	file.Close()
	abandoned.Close()
	if c, err := net.Dial("tcp", abandoned.Addr().String()); err == nil {
		c.Close()
		t.Error("a visitor waits in a socket that nobody serves")
	}
}

// TestRenameUnderSystemd: a renamed service keeps its port, although systemd still has the socket of the
// former name for a moment.
func TestRenameUnderSystemd(t *testing.T) {
	t.Parallel()
	m := newManager(t, 100*time.Millisecond)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, m.service, "--range", fmt.Sprintf("%d,%d", n.public, freePort(t)))
	data, upstream := t.TempDir(), echoServer(t)
	for _, name := range []string{"web", "site"} {
		node := launch(t, nil, "apquic-node", "--server", n.invitation, "--upstream", name+"="+upstream, "--data-dir", data)
		address := waitFor(t, node.stdout, `tcp://(\S+) ->`)
		if name == "web" {
			_, port, _ := net.SplitHostPort(address)
			n.public, _ = strconv.Atoi(port)
		}
		if address != n.address() {
			t.Errorf("the service %s has %s, want %s", name, address, n.address())
		}
		node.kill(t, syscall.SIGTERM)
		node.status(t)
	}
	waitFor(t, n.server.stderr, `service renamed`)
}

// TestSettingsChangedUnderSystemd: sockets opened with other settings are not in the way.
func TestSettingsChangedUnderSystemd(t *testing.T) {
	t.Parallel()
	m := newManager(t, 100*time.Millisecond)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, m.service)
	m.wait("READY=1")
	n.node(t, nil)
	for _, change := range [][]string{{"--ipv6=false"}, {"--public-listen", "127.0.0.1"}, {"--listen", "0.0.0.0:" + strconv.Itoa(n.udp)}} {
		n.server.kill(t, syscall.SIGTERM)
		m.wait("STOPPING=1")
		n.server.status(t)
		n.server = launch(t, m.service, "apquic-server", n.serverArguments(change...)...)
		m.wait("READY=1")
		n.echo(t, "works").Close()
		if names := m.names(); len(names) != 2 {
			t.Errorf("kept are %q", names)
		}
	}
}

// TestWrongSocketsInStore: a socket that is not what its name says is neither used nor kept.
func TestWrongSocketsInStore(t *testing.T) {
	t.Parallel()
	m := newManager(t, 0)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.launch(t, m.service)
	m.wait("READY=1")
	n.node(t, nil)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	local, err := net.Listen("unix", filepath.Join(filepath.Dir(m.path), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	for _, wrong := range []interface{ File() (*os.File, error) }{local.(*net.UnixListener), other.(*net.TCPListener), m.conn} {
		n.server.kill(t, syscall.SIGTERM)
		m.wait("STOPPING=1")
		n.server.status(t)
		names := m.names()
		m.mu.Lock()
		for _, name := range names {
			m.kept[name].Close()
			if m.kept[name], err = wrong.File(); err != nil {
				t.Fatal(err)
			}
		}
		m.mu.Unlock()
		n.server = m.launch(t, n)
		m.wait("READY=1")
		n.echo(t, "works").Close()
		if now := m.names(); !slices.Equal(now, names) {
			t.Errorf("kept are %q, want %q", now, names)
		}
	}
}

// TestVisitorWhileDraining: even without systemd the public ports stay open until the process ends, so that
// visitors are not refused while there is a chance.
func TestVisitorWhileDraining(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	n.node(t, nil)
	running := n.echo(t, "running")
	n.server.kill(t, syscall.SIGTERM)
	waitFor(t, n.server.stderr, `stopping`)
	visitor, err := net.Dial("tcp", n.address())
	if err != nil {
		t.Fatalf("while the server drains: %v", err)
	}
	defer visitor.Close()
	exchange(t, running, "goes on")
	running.Close()
	n.server.status(t)
	visitor.SetDeadline(time.Now().Add(maxWait))
	if _, err := visitor.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("when the server has ended: %v", err)
	}
}

// TestSharedSocketsUnderSystemd: clients of domains that come during a restart wait for the next process; the
// socket of a setting that was removed is closed.
func TestSharedSocketsUnderSystemd(t *testing.T) {
	t.Parallel()
	m := newManager(t, 0)
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	https, plain := "127.0.0.1:"+strconv.Itoa(freePort(t)), "127.0.0.1:"+strconv.Itoa(freePort(t))
	n.launch(t, m.service, "--https", https, "--http", plain)
	m.wait("READY=1")
	if names := m.names(); len(names) != 3 {
		t.Errorf("kept are %q", names)
	}
	for _, change := range [][]string{{"--https", https, "--http", plain}, {"--https", https}} {
		n.server.kill(t, syscall.SIGTERM)
		m.wait("STOPPING=1")
		n.server.status(t)
		refused := make(chan error)
		go func() {
			_, err := tls.Dial("tcp", https, &tls.Config{ServerName: "unknown.example.org"})
			refused <- err
		}()
		m.starting.Lock()
		n.server = launch(t, m.service, "apquic-server", n.serverArguments(change...)...)
		m.starting.Unlock()
		m.wait("READY=1")
		if err := <-refused; err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a client that came during the restart: %v", err)
		}
		if names := m.names(); len(names) != 1+len(change)/2 {
			t.Errorf("%q: kept are %q", change, names)
		}
	}
	if c, err := net.Dial("tcp", plain); err == nil {
		c.Close()
		t.Error("the port for HTTP is still open")
	}
}
