package totals

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/usage"
	"apquic/lease"
)

// TestFullDisk: wherever a writing, or the making of the file, runs out of space, nothing of what has passed is lost, the
// log says what to do, and all is written once there is space.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no file system can be mounted: %v", err)
	}
	defer syscall.Unmount(folder, syscall.MNT_DETACH)
	filler := filepath.Join(folder, "filler")
	fill := func(leave int) {
		var is syscall.Statfs_t
		if err := syscall.Statfs(folder, &is); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filler, make([]byte, max(int(is.Bavail)*int(is.Bsize)-leave, 0)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	full := 0
	for pages := range 40 {
		path := filepath.Join(folder, fmt.Sprintf("%d.db", pages))
		var log bytes.Buffer
		fill(4 * pages * os.Getpagesize())
		totals := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
		sum := uint64(0)
		pass := func() {
			for i := range 400 {
				sum++
				totals.Add(lease.Key{Node: certs.NodeID{byte(i), byte(i >> 8), 9}, Service: "web"}, usage.Counts{In: 1})
			}
			totals.Keep(time.Now())
			if got := told(t, totals, Query{To: maxDay}); !strings.HasSuffix(got, fmt.Sprintf(" %d/0/0/0/0", sum)) {
				t.Errorf("%d pages: %s, want %d; %s", pages, got, sum, &log)
			}
		}
		pass()
		pass()
		if strings.Contains(log.String(), "totals cannot be written") {
			full++
			if !strings.Contains(log.String(), "make room") {
				t.Errorf("%d pages: %s", pages, &log)
			}
		}
		os.Remove(filler)
		pass()
		totals.Close()
		if cannot, again := strings.Count(log.String(), "cannot be written"), strings.Count(log.String(), "written again"); cannot != again {
			t.Errorf("%d pages: %s", pages, &log)
		}
		read, err := Read(path)
		if err != nil {
			t.Fatalf("%d pages: %v", pages, err)
		}
		if got := told(t, read, Query{To: maxDay}); !strings.HasSuffix(got, fmt.Sprintf(" %d/0/0/0/0", sum)) || read.Month(certs.NodeID{0, 0, 9}) != 3 {
			t.Errorf("%d pages: after all %s, want %d", pages, got, sum)
		}
		read.Close()
		os.Remove(path)
	}
	if full < 3 || full == 40 {
		t.Errorf("the disk was full %d times", full)
	}
}
