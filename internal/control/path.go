package control

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"apquic/internal/hint"
)

const (
	// SocketName is the name of the socket in the data directory.
	SocketName = "control.sock"
	// maxSocketPath leaves room in what the smallest of the systems takes, the 104 bytes of macOS and BSD, for the
	// name under which Listen makes the socket.
	maxSocketPath = 90
)

// socketPath is where this process finds the socket of a data directory, until it calls done. Systems limit the path of a
// socket to some 100 bytes; on Linux a directory that is open has a short name, too.
func socketPath(directory string) (path string, done func(), err error) {
	path = filepath.Join(directory, SocketName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, hint.Add(fmt.Errorf("the path of the control socket has %d bytes, %d are allowed: %s", len(path), maxSocketPath, path),
			"choose a data directory with a shorter name, or give a relative --data-dir")
	}
	opened, err := os.Open(directory)
	if err != nil {
		return "", nil, err
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(opened.Fd())), SocketName), func() { opened.Close() }, nil
}
