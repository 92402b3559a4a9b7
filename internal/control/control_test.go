package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

type greeting struct{ Hello string }

// start serves a greeting at path until the end of the test, or stop.
func start(t *testing.T, path, hello string) (stop func()) {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { Answer(w, greeting{hello}) })
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); Answer(w, greeting{hello}) })
	go func() { done <- Serve(ctx, l, mux) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	stop := start(t, path, "you")
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("%v, %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the socket: %v, %v", entries, err)
	}
	var got greeting
	if err := Get(t.Context(), path, "/hello", &got); err != nil || got.Hello != "you" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := Get(t.Context(), path, "/nothing", &got); err == nil {
		t.Error("nothing was there, and no error")
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("twice at one path: %v", err)
	}
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
	err := Get(t.Context(), path, "/hello", &got)
	if gone, ok := errors.AsType[*NotRunningError](err); !ok || gone.Hint() == "" {
		t.Errorf("nobody there: %v", err)
	}
}

// TestLeftBehind: a socket of a process that was killed is replaced, and one that replaced ours is left alone.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	stop := start(t, path, "first")
	var got greeting
	if err := Get(t.Context(), path, "/hello", &got); err != nil || got.Hello != "first" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	start(t, path, "second")
	stop()
	if err := Get(t.Context(), path, "/hello", &got); err != nil || got.Hello != "second" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestServeEnds with an answer under way.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	stop := start(t, path, "late")
	answered := make(chan error, 1)
	var got greeting
	go func() { answered <- Get(context.Background(), path, "/slow", &got) }()
	time.Sleep(50 * time.Millisecond) // if it comes too late, it finds nobody, which is as well
	stop()
	if err := <-answered; err == nil && got.Hello != "late" {
		t.Errorf("%+v", got)
	}
}

// TestLongPath: a path that is too long for a socket is an error, not a crash, and leaves nothing behind.
func TestLongPath(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "a-folder-with-a-name-that-is-longer-than-the-hundred-bytes-that-a-socket-may-have-in-all-together")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(folder, "s")); err == nil {
		t.Error("no error")
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := Listen(filepath.Join(folder, "missing", "s")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}
