package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// ErrInUse says that another process answers on a socket.
var ErrInUse = errors.New("another process answers there")

// Listen opens the socket in an existing data directory, accessible to this user alone from the moment it
// exists. One that a process left behind is replaced. Closing the listener removes it.
func Listen(directory string) (net.Listener, error) {
	path, done, err := socketPath(directory)
	if err != nil {
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	unix, own, err := listenAt(path)
	if err != nil {
		done()
		return nil, fmt.Errorf("the control socket %s: %w", filepath.Join(directory, SocketName), err)
	}
	return &listener{unix, path, own, done}, nil
}

func listenAt(path string) (_ *net.UnixListener, own os.FileInfo, err error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, nil, ErrInUse
	}
	// Bound in a directory that nobody else can enter, it gets its mode before its final name.
	private, err := os.MkdirTemp(filepath.Dir(path), ".s*")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(private)
	hidden := filepath.Join(private, "s")
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	unix.SetUnlinkOnClose(false)
	if err = errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err == nil {
		own, err = os.Lstat(path)
	}
	if err != nil {
		unix.Close()
		return nil, nil, err
	}
	return unix, own, nil
}

// listener removes its socket when it closes, unless another process has replaced it.
type listener struct {
	*net.UnixListener
	path string
	own  os.FileInfo
	done func() // with the path
}

func (l *listener) Close() error {
	defer l.done()
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.own) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
