package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLeftovers: both programs remove temporary files of a process that was killed before it renamed them.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	leave := func(directory string) (path string) {
		t.Helper()
		path = filepath.Join(directory, ".key.tmp-123456")
		if err := os.MkdirAll(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("half of a k"), 0o600); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
		return path
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	data := filepath.Join(t.TempDir(), "node")
	left := []string{leave(n.data), leave(data)}
	n.start(t)
	node := launch(t, nil, "apquic-node", "--server", n.invitation, "--upstream", echoServer(t), "--data-dir", data)
	waitFor(t, node.stdout, `tcp://`)
	for _, path := range left {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}
