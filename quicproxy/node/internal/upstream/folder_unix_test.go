//go:build unix

package upstream

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestFolderWithPipe: a pipe is no file, and nobody waits for its other end.
func TestFolderWithPipe(t *testing.T) {
	t.Parallel()
	f := &folder{path: newFolder(t)}
	if err := syscall.Mkfifo(filepath.Join(f.path, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := get(f, "GET", "/pipe"); r.StatusCode != 404 {
		t.Errorf("%d", r.StatusCode)
	}
}
