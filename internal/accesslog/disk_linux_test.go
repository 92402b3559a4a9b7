package accesslog

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestRealFullDisk: the same on a real disk.
func TestRealFullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=8192"); err != nil {
		t.Skipf("no file system can be mounted: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(folder, syscall.MNT_DETACH) })
	path := filepath.Join(folder, "access.log")
	l := New(slog.New(slog.DiscardHandler), nil)
	begin(t, l, path, JSON)
	const told = 100
	for range told {
		l.Outlet.Tell(one)
	}
	for end := time.Now().Add(20 * time.Second); l.Lost() == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	l.Close()
	if err := syscall.Mount("", folder, "", syscall.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	begin(t, l, path, JSON)
	l.Outlet.Tell(one)
	l.Close()
	whole, broken := countLines(t, path)
	if broken > 0 || whole < 30 || whole+int(l.Lost()) != told+1 || l.Lost() == 0 {
		t.Errorf("%d lines and %d broken ones, %d lost of %d", whole, broken, l.Lost(), told+1)
	}
}
