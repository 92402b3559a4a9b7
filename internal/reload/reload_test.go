package reload

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// program follows a file whose content it may not like.
type program struct {
	*Reloader
	t    *testing.T
	path string
	log  bytes.Buffer
	read []string // contents, in order
}

// follow runs f beside a program that follows a file, in virtual time.
func follow(t *testing.T, f func(p *program)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &program{t: t, path: filepath.Join(t.TempDir(), "file")}
		p.write("first")
		p.Reloader = New(Config{Path: p.path, Log: slog.New(slog.NewTextHandler(&p.log, nil)), Apply: func() (Report, error) {
			content, err := os.ReadFile(p.path)
			if err != nil {
				return Report{}, err
			}
			p.read = append(p.read, string(content))
			if strings.HasPrefix(string(content), "bad") {
				return Report{}, errors.Join(errors.New("a mistake"), errors.New("another"))
			}
			return Report{Changed: []string{string(content)}}, nil
		}})
		stop := p.Start(t.Context())
		defer stop()
		f(p)
	})
}

func (p *program) write(content string) {
	p.t.Helper()
	if err := os.WriteFile(p.path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// told counts what the log says.
func (p *program) told(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.log.String(), what)
}

// wants compares what was read since the last call, after some seconds.
func (p *program) wants(contents ...string) {
	p.t.Helper()
	time.Sleep(5 * time.Second)
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.read, contents) {
		p.t.Errorf("read %q, want %q", p.read, contents)
	}
	p.read = nil
}

// TestFollows: each change of the file is read once, whoever makes it and however, and a bad one is told once.
func TestFollows(t *testing.T) {
	follow(t, func(p *program) {
		p.wants()
		p.write("the second")
		p.wants("the second")
		other := p.path + ".new"
		if err := errors.Join(os.WriteFile(other, []byte("renamed in"), 0o600), os.Rename(other, p.path)); err != nil {
			t.Fatal(err)
		}
		p.wants("renamed in")
		p.write("bad")
		p.wants("bad")
		if n := p.told("a mistake") + p.told("err=another"); n != 2 {
			t.Errorf("told %d times", n)
		}
		os.Remove(p.path)
		p.wants()
		os.Mkdir(p.path, 0o700)
		p.wants()
		if n := p.told("those in use stay"); n != 4 {
			t.Errorf("%d failures are told", n)
		}
		os.Remove(p.path)
		p.write("again")
		p.wants("again")
		p.Signal()
		p.wants("again")
	})
}

// TestHalfWritten: a file that is being written is not read until that is over, and a command that comes meanwhile
// reads it until it stays the same.
func TestHalfWritten(t *testing.T) {
	follow(t, func(p *program) {
		for i := range 20 {
			p.write(strings.Repeat("x", i+10))
			time.Sleep(700 * time.Millisecond)
		}
		p.wants(strings.Repeat("x", 29))
	})
}

// TestWrittenWhileRead: a file that changes while it is read is read again.
func TestWrittenWhileRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path, reads := filepath.Join(t.TempDir(), "file"), 0
		r := New(Config{Path: path, Log: slog.New(slog.DiscardHandler), Apply: func() (Report, error) {
			if reads++; reads < 4 {
				return Report{}, errors.Join(os.WriteFile(path, make([]byte, reads), 0o600), errors.New("half of it"))
			}
			return Report{Changed: []string{"all"}}, nil
		}})
		if report := r.Now("a test"); reads != 4 || len(report.Errors) != 0 || len(report.Changed) != 1 {
			t.Errorf("%d reads: %+v", reads, report)
		}
	})
}

// TestAnotherOwner: a file that belongs to somebody else now is read only when somebody says so.
func TestAnotherOwner(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	follow(t, func(p *program) {
		if err := os.Chown(p.path, 1, -1); err != nil {
			t.Fatal(err)
		}
		p.write("by another")
		p.wants()
		p.wants()
		if n := p.told("belongs to another user now"); n != 1 {
			t.Errorf("told %d times", n)
		}
		p.Signal()
		p.wants("by another")
		p.write("by him again")
		p.wants("by him again")
	})
}

// TestAtOnce: one reload at a time, each surrounded by what belongs around it.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	var running, around, most, done atomic.Int64
	r := New(Config{
		Log:    slog.New(slog.DiscardHandler),
		Around: func(reload func()) { around.Add(1); reload(); around.Add(-1) },
		Apply: func() (Report, error) {
			most.Store(max(most.Load(), running.Add(1), around.Load()))
			running.Add(-1)
			done.Add(1)
			return Report{}, nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	stop := r.Start(ctx)
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() { r.Now("a test") })
		r.Signal()
	}
	asking.Wait()
	cancel()
	stop()
	if most.Load() != 1 || done.Load() < 50 {
		t.Errorf("%d reloads, %d at once", done.Load(), most.Load())
	}
}
