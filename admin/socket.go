package admin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"apquic/internal/control"
)

const (
	// SocketName is the name of the socket in the data directory.
	SocketName = "control.sock"
	// maxSocketPath leaves room in what the smallest of the systems takes, the 104 bytes of macOS and BSD, for the
	// name under which control.Listen makes the socket.
	maxSocketPath = 90
)

// Listen opens the socket in a data directory, for its owner alone. What a server left there that was killed goes.
func Listen(directory string) (net.Listener, error) {
	path, done, err := socketPath(directory)
	if err != nil {
		return nil, err
	}
	listener, err := control.Listen(path)
	if err != nil {
		done()
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	return &socket{listener, done}, nil
}

// socket gives back what its path needs.
type socket struct {
	net.Listener
	done func()
}

func (s *socket) Close() error {
	defer s.done()
	return s.Listener.Close()
}

// socketPath is where a program finds the socket of a data directory, until it calls done. Systems limit the path of a
// socket to some 100 bytes; on Linux a directory that is open has a short name, too.
func socketPath(directory string) (path string, done func(), err error) {
	path = filepath.Join(directory, SocketName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, hinted{fmt.Errorf("the path of the control socket has %d bytes, %d are allowed: %s", len(path), maxSocketPath, path),
			"choose a data directory with a shorter name, or give a relative --data-dir"}
	}
	opened, err := os.Open(directory)
	if err != nil {
		return "", nil, err
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(opened.Fd())), SocketName), func() { opened.Close() }, nil
}
