package machine

import (
	"os"
	"runtime"
)

// OpenFiles is how many files and sockets the process has open; 0: the system does not say.
func OpenFiles() int {
	const all = "/dev/fd"
	if info, err := os.Stat(all); runtime.GOOS == "linux" && err == nil && info.Size() > 0 {
		return int(info.Size()) // since Linux 6.2: their number, not a list of thousands of names
	}
	directory, err := os.Open(all)
	if err != nil {
		return 0
	}
	defer directory.Close()
	names, _ := directory.Readdirnames(-1)
	return max(len(names)-1, 0) // without directory
}
