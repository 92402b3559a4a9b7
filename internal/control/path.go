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
	// maxSocketPath leaves room for the name under which Listen creates the socket in the least that a system
	// allows, the 104 bytes of macOS and BSD.
	maxSocketPath = 90
)

// socketPath is where this process finds the socket of a data directory until it calls done. Systems limit
// the path of a socket to about 100 bytes; on Linux an open directory also has a short name.
func socketPath(directory string) (path string, done func(), err error) {
	path = filepath.Join(directory, SocketName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, hint.Add(fmt.Errorf("the path of the control socket has %d bytes, but only %d are allowed: %s", len(path), maxSocketPath, path),
			"choose a data directory with a shorter name, or give a relative --data-dir")
	}
	opened, err := os.Open(directory)
	if err != nil {
		return "", nil, err
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(opened.Fd())), SocketName), func() { opened.Close() }, nil
}
