package machine

import "os"

// OpenFiles is how many files and sockets the process has open; 0: the system does not say.
func OpenFiles() int {
	directory, err := os.Open("/dev/fd")
	if err != nil {
		return 0
	}
	defer directory.Close()
	names, _ := directory.Readdirnames(-1)
	return max(len(names)-1, 0) // without directory
}
