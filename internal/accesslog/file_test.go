package accesslog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"apquic/quicproxy/access"
)

// TestReopenUnderLoad: a file is opened again also while lines come faster than they are written.
func TestReopenUnderLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	l := New(slog.New(slog.DiscardHandler), nil)
	next, err := l.open(path, JSON)
	if err != nil {
		t.Fatal(err)
	}
	format := next.format
	var made atomic.Uint64
	next.format = func(b []byte, r access.Relay) []byte { // there always is one more
		made.Add(1)
		next.add(r)
		return format(b, r)
	}
	for range queued / 2 {
		next.add(one)
	}
	l.use(next)
	for made.Load() < queued {
		runtime.Gosched()
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	for before := made.Load(); ; {
		if _, err := os.Stat(path); err == nil {
			break
		}
		if made.Load()-before > 100*queued {
			t.Error("the file is not opened again")
			break
		}
	}
	l.Close()
}

// smallDisk has room for some bytes. Like a real one it takes the part of a text that it has room for.
type smallDisk struct {
	*os.File
	room atomic.Int64
}

func (d *smallDisk) Write(b []byte) (int, error) {
	room := d.room.Load()
	if room >= int64(len(b)) {
		d.room.Add(-int64(len(b)))
		return d.File.Write(b)
	}
	d.room.Store(0)
	n, err := d.File.Write(b[:room])
	if err == nil {
		err = syscall.ENOSPC
	}
	return n, err
}

func (d *smallDisk) Truncate(size int64) error {
	info, err := d.Stat()
	if err == nil {
		d.room.Add(info.Size() - size)
		err = d.File.Truncate(size)
	}
	return err
}

// TestWholeLines: a disk that was full for a while, and took half a line, has whole lines only, and all that are not there
// are counted. Where nothing can be taken back, the half line stands alone.
func TestWholeLines(t *testing.T) {
	t.Parallel()
	for _, cuts := range []bool{true, false} {
		t.Run(fmt.Sprint("cuts ", cuts), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			l := New(slog.New(slog.DiscardHandler), nil)
			synctest.Test(t, func(t *testing.T) {
				next, err := l.open(path, JSON)
				if err != nil {
					t.Fatal(err)
				}
				disk := &smallDisk{File: next.to.(*os.File)}
				disk.room.Store(int64(len(appendJSON(nil, one))) * 5 / 2)
				if next.to = disk; !cuts {
					next.to = keptOpen{struct{ *smallDiskWriter }{(*smallDiskWriter)(disk)}}
				}
				for range 5 { // in one write
					next.add(one)
				}
				l.use(next)
				synctest.Wait()
				l.Outlet.Tell(one) // in one of its own
				synctest.Wait()
				disk.room.Store(1 << 20)
				l.Outlet.Tell(one)
				l.Outlet.Tell(one)
				l.Close()
				disk.Close()
			})
			whole, broken := countLines(t, path)
			want := 0
			if !cuts {
				want = 1
			}
			// With the part that was taken back there is no room for one line more.
			if whole != 4 || broken != want || whole+int(l.Lost()) != 8 {
				t.Errorf("%d lines and %d broken ones, %d lost", whole, broken, l.Lost())
			}
		})
	}
}

// countLines counts the lines of a file that are whole, and those that are not.
func countLines(t *testing.T, path string) (whole, broken int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if json.Valid([]byte(line)) && strings.HasSuffix(line, "\n") {
			whole++
		} else {
			broken++
		}
	}
	return whole, broken
}

// smallDiskWriter is one that only takes more.
type smallDiskWriter smallDisk

func (d *smallDiskWriter) Write(b []byte) (int, error) { return (*smallDisk)(d).Write(b) }

// TestLostBefore: what one file lost is not told again because of the next one.
func TestLostBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logged := new(strings.Builder)
		l := New(slog.New(slog.NewTextHandler(logged, nil)), nil)
		begin(t, l, "/dev/full", JSON)
		l.Outlet.Tell(one)
		synctest.Wait()
		begin(t, l, filepath.Join(t.TempDir(), "access.log"), JSON)
		l.Outlet.Tell(one)
		l.Close()
		if n := strings.Count(logged.String(), "were lost"); n != 1 || l.Lost() != 1 {
			t.Errorf("%d lost; told:\n%s", l.Lost(), logged)
		}
	})
}
