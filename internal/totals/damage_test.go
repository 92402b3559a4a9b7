package totals

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"apquic/internal/usage"
)

// TestDamageWhileOpen: a file that is cut off or overwritten while it is open stops nobody: what passes is counted on in
// memory, the log says once what to do, and a good file takes all of it.
func TestDamageWhileOpen(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"cut off": func(path string) error { return os.Truncate(path, 0) },
		"half":    func(path string) error { return os.Truncate(path, int64(3*os.Getpagesize())) },
		"overwritten": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer file.Close()
			_, err = file.Write(bytes.Repeat([]byte("hello "), int(info.Size())/6))
			return err
		},
		"a row": func(path string) error { // the numbers behind its key have no end
			content, err := os.ReadFile(path)
			file, failed := os.OpenFile(path, os.O_WRONLY, 0)
			if err := errors.Join(err, failed); err != nil {
				return err
			}
			defer file.Close()
			_, err = file.Write(bytes.ReplaceAll(content, []byte("web\x01\x00\x00\x00\x00"), []byte("web\x80\x80\x80\x80\x80")))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			var log bytes.Buffer
			totals := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
			totals.Add(web(garage), usage.Counts{In: 1})
			totals.Keep(time.Now())
			repair := func(path string) error { return os.Rename(path, path+".broken") }
			want := " 6/0/0/0/0"
			switch name {
			case "cut off": // an empty file is a new one
				repair = func(string) error { return nil }
			case "half": // the file gets its content back
				good, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				repair = func(path string) error { return os.WriteFile(path, good, 0o600) }
				want = " 7/0/0/0/0"
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 3 {
					totals.Add(web(garage), usage.Counts{In: 2})
					totals.Keep(time.Now())
					totals.Sum(Query{To: maxDay})
				}
				if err := repair(path); err != nil {
					t.Error(err)
				}
				totals.Keep(time.Now())
				totals.Close()
			}()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatalf("it hangs; the log has %s", &log)
			}
			if lines := strings.Count(log.String(), "totals cannot be written"); lines != 1 || !strings.Contains(log.String(), "move it away") || !strings.Contains(log.String(), "totals are written again") {
				t.Errorf("the log has %s", &log)
			}
			read, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			if got := told(t, read, Query{To: maxDay}); !strings.Contains(got, want) {
				t.Errorf("%s", got)
			}
		})
	}
}

// TestDamagedFileCostsNothing: a file that cannot be opened is not mapped anew each minute.
func TestDamagedFileCostsNothing(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	path := newPath(t)
	totals := Open(path, discard)
	totals.Add(web(garage), usage.Counts{In: 1})
	totals.Keep(time.Now())
	totals.Close()
	if err := os.Truncate(path, int64(2*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	totals = Open(path, discard)
	defer totals.Close()
	for range 20 {
		totals.Add(web(garage), usage.Counts{In: 1})
		totals.Keep(time.Now())
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if n := strings.Count(string(maps), path); err != nil || n > 1 {
		t.Errorf("the file is mapped %d times, %v", n, err)
	}
}

// TestDamagedMonth: what was used in a month that cannot be read is not said to be written again.
func TestDamagedMonth(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	var log bytes.Buffer
	totals := newTotals(path, slog.New(slog.NewTextHandler(&log, nil)), usual)
	defer totals.Close()
	next := noon.AddDate(0, 1, 0)
	for _, now := range []time.Time{next, noon} {
		totals.Keep(now)
		totals.Add(web(garage), usage.Counts{In: 0x6162636465}) // a number that is nowhere else
		totals.Keep(now)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := Row{Day: DayOf(next).first(), Node: garage}.key()
	number := binary.AppendUvarint(nil, 0x6162636465)
	damaged := bytes.ReplaceAll(content, append(key, number...), append(key, bytes.Repeat([]byte{0x80}, len(number))...))
	if bytes.Equal(damaged, content) {
		t.Fatal("the row is not found")
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(damaged); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		totals.Keep(next)
	}
	if strings.Count(log.String(), "cannot be written") != 1 || !strings.Contains(log.String(), "move it away") || strings.Contains(log.String(), "written again") {
		t.Errorf("the log has %s", &log)
	}
}
