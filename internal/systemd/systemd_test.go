//go:build unix

package systemd

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInheritedNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		count, names string
		want         []string
	}{
		{"2", "udp:tcp-20000", []string{"udp", "tcp-20000"}},
		{"1", "udp", []string{"udp"}},
		{"", "", nil}, {"0", "", nil}, {"-1", "udp", nil}, {"x", "udp", nil},
		{"1", "udp:tcp", nil}, {"99999999999999999999", "udp", nil}, {"1000000", "udp", nil},
	} {
		if got := inheritedNames(test.count, test.names); !slices.Equal(got, test.want) {
			t.Errorf("%q of %q: %q", test.count, test.names, got)
		}
	}
}

func TestWithoutSystemd(t *testing.T) {
	t.Parallel()
	var m *Manager
	if m.Notify(Ready) != nil || m.Store("x", nil) != nil || m.Remove("x") != nil || m.Take("x") != nil || m.Barrier() != nil || m.Inherited() != 0 {
		t.Error("something was done")
	}
	if names, err := m.CloseRest(nil); names != nil || err != nil {
		t.Errorf("%q was closed, %v", names, err)
	}
}

// TestCloseRest: what is of use stays to be taken.
func TestCloseRest(t *testing.T) {
	t.Parallel()
	m := &Manager{socket: filepath.Join(t.TempDir(), "none"), inherited: make(map[string]*os.File)}
	for _, name := range []string{"a", "b", "c"} {
		file, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		m.inherited[name] = file
	}
	m.CloseRest(func(name string) bool { return name != "b" })
	if m.Inherited() != 2 || m.Take("b") != nil {
		t.Errorf("%d are left", m.Inherited())
	}
	a := m.Take("a")
	if a == nil || a.Close() != nil {
		t.Error("a cannot be taken")
	}
	m.CloseRest(nil)
	if m.Inherited() != 0 || m.Take("c") != nil {
		t.Errorf("%d are left", m.Inherited())
	}
}

// TestStore: systemd gets the very socket that was stored.
func TestStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	receive := func() (string, []int) {
		t.Helper()
		text, rights := make([]byte, 1024), make([]byte, 1024)
		n, k, _, _, err := manager.ReadMsgUnix(text, rights)
		if err != nil {
			t.Fatal(err)
		}
		messages, _ := syscall.ParseSocketControlMessage(rights[:k])
		var fds []int
		for _, m := range messages {
			got, err := syscall.ParseUnixRights(&m)
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, got...)
		}
		return string(text[:n]), fds
	}
	m := &Manager{socket: path}
	if err := m.Notify(Ready); err != nil {
		t.Fatal(err)
	}
	if text, _ := receive(); text != "READY=1" {
		t.Errorf("got %q", text)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := m.Store("tcp-1", listener.(*net.TCPListener)); err != nil {
		t.Fatal(err)
	}
	text, fds := receive()
	if text != "FDSTORE=1\nFDNAME=tcp-1" || len(fds) != 1 {
		t.Fatalf("got %q with %d descriptors", text, len(fds))
	}
	file := os.NewFile(uintptr(fds[0]), "tcp-1")
	again, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Addr().String() != listener.Addr().String() {
		t.Errorf("another socket came: %v", again.Addr())
	}
	if err := m.Remove("tcp-1"); err != nil {
		t.Fatal(err)
	}
	if text, fds := receive(); text != "FDSTOREREMOVE=1\nFDNAME=tcp-1" || len(fds) != 0 {
		t.Errorf("got %q with %d descriptors", text, len(fds))
	}
	barrier := make(chan error)
	go func() { barrier <- m.Barrier() }()
	text, fds = receive()
	if text != "BARRIER=1" || len(fds) != 1 {
		t.Fatalf("got %q with %d descriptors", text, len(fds))
	}
	select {
	case err := <-barrier:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	syscall.Close(fds[0])
	if err := <-barrier; err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "a:b", "a\nREADY=1", "a b", strings.Repeat("x", 256)} {
		if m.Store(bad, listener.(*net.TCPListener)) == nil || m.Remove(bad) == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}
