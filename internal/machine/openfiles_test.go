package machine

import (
	"os"
	"runtime"
	"testing"
)

// TestOpenFiles: each open file counts, and on Linux to count them costs no list of their names.
func TestOpenFiles(t *testing.T) {
	before := OpenFiles()
	if before == 0 {
		t.Skip("the system does not say")
	}
	const more = 500
	for range more {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if n := OpenFiles() - before; n != more {
		t.Errorf("%d more files are open, want %d", n, more)
	}
	if n := testing.AllocsPerRun(10, func() { OpenFiles() }); n > 20 && countsByStat() {
		t.Errorf("%v allocations to count %d files", n, before+more)
	}
}

// countsByStat reports whether the kernel says in one call how many files are open.
func countsByStat() bool {
	info, err := os.Stat("/dev/fd")
	return runtime.GOOS == "linux" && err == nil && info.Size() > 0
}
