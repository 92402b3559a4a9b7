package files

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestRemoveLeftovers: temporary files of killed processes are removed; files being written, other names,
// links and their targets stay.
func TestRemoveLeftovers(t *testing.T) {
	t.Parallel()
	directory, elsewhere := t.TempDir(), t.TempDir()
	start := time.Now()
	make := func(path string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, start.Add(-age), start.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	for name, age := range map[string]time.Duration{
		".key.tmp-123": time.Hour, ".authorized_nodes.tmp-4": 2 * time.Minute, ".writable-99": time.Hour, // these go
		".peers.tmp-5": 0, "key": time.Hour, ".key.tmp-": time.Hour, ".key.tmp-1a": time.Hour, "key.tmp-1": time.Hour, ".tmp-1": time.Hour,
	} {
		make(filepath.Join(directory, name), age)
	}
	target := filepath.Join(elsewhere, ".key.tmp-7")
	make(target, time.Hour)
	if err := os.Symlink(target, filepath.Join(directory, ".link.tmp-8")); err != nil {
		t.Skip(err)
	}
	if err := os.Mkdir(filepath.Join(directory, ".folder.tmp-9"), 0o700); err != nil {
		t.Fatal(err)
	}
	removed, err := RemoveLeftovers(directory, start)
	if err != nil || removed != 3 {
		t.Errorf("%d were removed, %v", removed, err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	want := []string{".folder.tmp-9", ".key.tmp-", ".key.tmp-1a", ".link.tmp-8", ".peers.tmp-5", ".tmp-1", "key", "key.tmp-1"}
	if !slices.Equal(left, want) {
		t.Errorf("%q are left, want %q", left, want)
	}
	if _, err := os.Stat(target); err != nil {
		t.Error(err)
	}
	if removed, err := RemoveLeftovers(filepath.Join(directory, "none"), start); removed != 0 || err != nil {
		t.Errorf("no directory: %d, %v", removed, err)
	}
}
