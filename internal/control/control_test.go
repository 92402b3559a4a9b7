package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"apquic/internal/hint"
)

type greeting struct{ Hello string }

// start serves a greeting in directory until the end of the test, or stop.
func start(t *testing.T, directory, hello string) (stop func()) {
	t.Helper()
	l, err := Listen(directory)
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
	directory := t.TempDir()
	path := filepath.Join(directory, SocketName)
	stop := start(t, directory, "you")
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("%v, %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the socket: %v, %v", entries, err)
	}
	var got greeting
	if err := Get(t.Context(), directory, "/hello", &got); err != nil || got.Hello != "you" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := Get(t.Context(), directory, "/nothing", &got); err == nil {
		t.Error("nothing was there, and no error")
	}
	if _, err := Listen(directory); !errors.Is(err, ErrInUse) {
		t.Errorf("twice at one path: %v", err)
	}
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
	err := Get(t.Context(), directory, "/hello", &got)
	if gone, ok := errors.AsType[*NotRunningError](err); !ok || gone.Hint() == "" {
		t.Errorf("nobody there: %v", err)
	}
}

// TestLeftBehind: a socket of a process that was killed is replaced, and one that replaced ours is left
// alone.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, SocketName)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	stop := start(t, directory, "first")
	var got greeting
	if err := Get(t.Context(), directory, "/hello", &got); err != nil || got.Hello != "first" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	start(t, directory, "second")
	stop()
	if err := Get(t.Context(), directory, "/hello", &got); err != nil || got.Hello != "second" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestServeEnds with an answer pending.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	stop := start(t, directory, "late")
	answered := make(chan error, 1)
	var got greeting
	go func() { answered <- Get(context.Background(), directory, "/slow", &got) }()
	time.Sleep(50 * time.Millisecond) // if it comes too late, it finds nobody, which is fine, too
	stop()
	if err := <-answered; err == nil && got.Hello != "late" {
		t.Errorf("%+v", got)
	}
}

// TestLongPath: a directory whose path is too long for a socket works anyway, where the system has a way.
func TestLongPath(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "a-folder-with-a-name-that-is-longer-than-the-hundred-bytes-that-a-socket-may-have-in-all-together")
	if _, err := Listen(directory); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
	var got greeting
	if _, missing := errors.AsType[*NotRunningError](Get(t.Context(), directory, "/hello", &got)); !missing {
		t.Error("without a directory somebody answers")
	}
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" {
		if _, err := Listen(directory); err == nil || hint.Of(err) == "" {
			t.Errorf("there is no way, and that is not said: %v", err)
		}
		return
	}
	stop := start(t, directory, "from afar")
	if err := Get(t.Context(), directory, "/hello", &got); err != nil || got.Hello != "from afar" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Listen(directory); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), directory) {
		t.Errorf("twice in one directory: %v", err)
	}
	stop()
	if entries, err := os.ReadDir(directory); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestSilentProgram: a program that accepts but does not answer, because it is stopped, is told apart from
// one that is not running.
func TestSilentProgram(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	l, err := Listen(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begin := time.Now()
	err = Get(t.Context(), directory, "/hello", new(greeting))
	if _, gone := errors.AsType[*NotRunningError](err); gone || err == nil || !strings.Contains(err.Error(), "does not answer within") || hint.Of(err) == "" {
		t.Errorf("%v", err)
	}
	if took := time.Since(begin); took > Timeout+5*time.Second {
		t.Errorf("after %v", took)
	}
}
