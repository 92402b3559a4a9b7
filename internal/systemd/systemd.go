// Package systemd is a service's side of the conversation with systemd: whether it is ready or stopping
// (sd_notify(3)), and which sockets outlive the process (the file descriptor store, sd_pid_notify_with_fds(3)
// and sd_listen_fds(3)). It must not know what the sockets are for, and does nothing where there is no
// systemd.
//
// The module coreos/go-systemd has the states and the inherited descriptors, but cannot store descriptors.
package systemd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// States of a service.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

const (
	// firstInherited is the descriptor of the first kept socket (SD_LISTEN_FDS_START).
	firstInherited = 3
	// sendTimeout bounds the wait for a system manager that does not read.
	sendTimeout = 2 * time.Second
	maxNameSize = 255
)

// Manager is the systemd that started the process. Its methods may be called concurrently, and do nothing on
// nil.
type Manager struct {
	socket   string
	watchdog time.Duration // within which it wants to hear that the process works; 0: never

	mu        sync.Mutex
	inherited map[string]*os.File
}

// FromEnvironment returns the systemd that the environment names, or nil, and removes the variables, which
// are for this process alone. Sockets that came without a systemd to talk to are closed, because visitors
// would wait in them for ever. It may be called once.
func FromEnvironment() *Manager {
	socket := os.Getenv("NOTIFY_SOCKET")
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	watchdog := watchdogTime(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"))
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	m := &Manager{socket: socket, watchdog: watchdog, inherited: make(map[string]*os.File)}
	if pid == strconv.Itoa(os.Getpid()) {
		for i, name := range inheritedNames(count, names) {
			fd := uintptr(firstInherited + i)
			closeOnExec(fd)
			file := os.NewFile(fd, name)
			if socket == "" || m.inherited[name] != nil { // or the same socket twice
				file.Close()
				continue
			}
			m.inherited[name] = file
		}
	}
	if socket == "" {
		return nil
	}
	return m
}

// inheritedNames returns the names of the kept descriptors, in order.
func inheritedNames(count, names string) []string {
	n, err := strconv.Atoi(count)
	list := strings.Split(names, ":")
	if err != nil || n < 1 || n != len(list) {
		return nil
	}
	return list
}

// Notify reports a state.
func (m *Manager) Notify(state string) error {
	if m == nil {
		return nil
	}
	return m.send(state, nil)
}

// Reload reports that the service reloads its settings until reload returns. A failure is systemd's to notice.
func (m *Manager) Reload(reload func()) {
	if m != nil {
		m.Notify(reloading())
		defer m.Notify(Ready)
	}
	reload()
}

// Store makes a socket outlive the process under a name: the next process of the service finds it with Take.
// systemd keeps as many as FileDescriptorStoreMax= says, and silently drops the others.
func (m *Manager) Store(name string, socket syscall.Conn) error {
	if m == nil {
		return nil
	}
	if err := checkName(name); err != nil {
		return err
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("storing the socket %s: %w", name, err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = m.send("FDSTORE=1\nFDNAME="+name, rights(fd)) })
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("storing the socket %s: %w", name, err)
	}
	return nil
}

// Remove removes the socket with this name from the store.
func (m *Manager) Remove(name string) error {
	if m == nil {
		return nil
	}
	if err := checkName(name); err != nil {
		return err
	}
	return m.send("FDSTOREREMOVE=1\nFDNAME="+name, nil)
}

func checkName(name string) error {
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }
	if name == "" || len(name) > maxNameSize || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("%q cannot be the name of a socket", name)
	}
	return nil
}

// Take returns the socket that an earlier process stored under this name, for the caller to close; nil: there
// is none, or it was already taken.
func (m *Manager) Take(name string) *os.File {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	file := m.inherited[name]
	delete(m.inherited, name)
	return file
}

// Inherited is how many sockets of earlier processes have not been taken yet.
func (m *Manager) Inherited() int {
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.inherited)
}

// CloseRest closes the sockets that nobody took, here and in the store, except those whose names are of use;
// nil: none is. It returns the names of those that it closed.
func (m *Manager) CloseRest(ofUse func(name string) bool) (names []string, err error) {
	if m == nil {
		return nil, nil
	}
	m.mu.Lock()
	for name := range m.inherited {
		if ofUse == nil || !ofUse(name) {
			names = append(names, name)
		}
	}
	m.mu.Unlock()
	for _, name := range names {
		err = errors.Join(err, m.Take(name).Close(), m.Remove(name))
	}
	return names, err
}

// Barrier waits until systemd has done everything it was told before: only then is a removed socket closed
// and its port free (sd_notify_barrier(3)).
func (m *Manager) Barrier() error {
	if m == nil {
		return nil
	}
	done, told, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("waiting for systemd: %w", err)
	}
	defer done.Close()
	raw, err := told.SyscallConn()
	var failed error
	if err == nil {
		err = raw.Control(func(fd uintptr) { failed = m.send("BARRIER=1", rights(fd)) })
	}
	if err := errors.Join(err, failed, told.Close()); err != nil {
		return fmt.Errorf("waiting for systemd: %w", err)
	}
	done.SetReadDeadline(time.Now().Add(sendTimeout))
	if _, err := done.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // EOF: systemd closed its end
		return fmt.Errorf("waiting for systemd: %w", err)
	}
	return nil
}

func (m *Manager) send(state string, rights []byte) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	if err := sendMessage(conn, []byte(state), rights); err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	return nil
}
