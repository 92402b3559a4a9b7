package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"apquic/certs"
	"apquic/quicproxy/access"
)

var one = access.Relay{
	Node: certs.NodeID{1}, Name: "shed", Service: "web", Port: 20000, Client: "192.0.2.7:4711", Begun: time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC),
	Lasted: 12345 * time.Millisecond, FirstByte: 42 * time.Millisecond, In: 812, Out: 5120, End: "closed",
}

// combinedLine is what programs that read logs of web servers expect, and what follows here.
var combinedLine = regexp.MustCompile(`^[^ ]+ - [^ ]+ \[[^]]+\] "CONNECT [^ "]+ TCP" \d{3} \d+ "-" "-" \d+ \d+\.\d+ \d+\.\d+ [^ ]+\n$`)

// TestFormats: a line in each format.
func TestFormats(t *testing.T) {
	t.Parallel()
	want := fmt.Sprintf(`{"time":"2026-11-27T02:00:12.345Z","node":"%v","name":"shed","service":"web","port":20000,"client":"192.0.2.7:4711","bytesIn":812,"bytesOut":5120,"seconds":12.345,"firstByteSeconds":0.042,"end":"closed"}`+"\n", one.Node)
	if got := string(appendJSON(nil, one)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	want = `192.0.2.7 - shed [27/Nov/2026:02:00:00 +0000] "CONNECT :20000/web TCP" 200 5120 "-" "-" 812 12.345000 0.042000 closed` + "\n"
	if got := string(appendCombined(nil, one)); got != want || !combinedLine.MatchString(got) {
		t.Errorf("got  %swant %s", got, want)
	}
	other := access.Relay{Service: "app", Domain: "app.example.org", Client: "[2001:db8::1]:1", End: "refused"}
	if got := string(appendCombined(nil, other)); !strings.Contains(got, `"CONNECT app.example.org/app TCP" 502 0`) || !strings.HasPrefix(got, "2001:db8::1 - ") {
		t.Errorf("of a domain: %s", got)
	}
}

// FuzzInjection: whatever a name, a domain or an address is, there is one line, with the fields that it should have.
func FuzzInjection(f *testing.F) {
	for _, text := range []string{"a b", "x\n192.0.2.1 - admin", `"] 200`, `\"`, "\x1b[2J", "", "\xff", "ü", "\u2028", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, change := range []func(*access.Relay){
			func(r *access.Relay) { r.Name = text }, func(r *access.Relay) { r.Domain = text }, func(r *access.Relay) { r.Client = text },
			func(r *access.Relay) { r.Service = text }, func(r *access.Relay) { r.End = text },
		} {
			r := one
			change(&r)
			if got := appendCombined(nil, r); !combinedLine.Match(got) {
				t.Fatalf("%q makes %q", text, got)
			}
			got := appendJSON(nil, r)
			var read map[string]any
			if err := json.Unmarshal(got, &read); err != nil || bytes.Count(got, []byte("\n")) != 1 || !utf8.Valid(got) {
				t.Fatalf("%q makes %q: %v", text, got, err)
			}
		}
	})
}

// TestReopen: after the file was moved, lines go to a new one, which only the owner reads; changing the format loses
// none.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	l := New(slog.New(slog.DiscardHandler), nil)
	begin(t, l, path, JSON)
	l.Outlet.Tell(one)
	if err := waitLines(path, 1); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	if err := waitLines(path, 0); err != nil {
		t.Fatal(err)
	}
	l.Outlet.Tell(one)
	if err := waitLines(path, 1); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for range 1000 {
		l.Outlet.Tell(one)
	}
	begin(t, l, path, Combined)
	l.Outlet.Tell(one)
	l.Close()
	l.Outlet.Tell(one) // nobody is there
	text, err := os.ReadFile(path)
	if lines := bytes.Count(text, []byte("\n")); err != nil || lines != 1002 || l.Lost() != 0 || !strings.HasSuffix(string(text), "closed\n") {
		t.Errorf("%d lines, %d lost, %v", lines, l.Lost(), err)
	}
}

func begin(t *testing.T, l *Log, path, format string) {
	t.Helper()
	use, err := l.Prepare(path, format)
	if err != nil {
		t.Fatal(err)
	}
	use()
}

func waitLines(path string, n int) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Count(text, []byte("\n")) == n {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%q %v, want %d lines", text, err, n)
		}
	}
}

// stuck is a disk that takes nothing until it is released, and then fails if err is set.
type stuck struct {
	released chan struct{}
	err      error

	mu    sync.Mutex
	lines int
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.released
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.lines += bytes.Count(b, []byte("\n"))
	return len(b), nil
}

// TestSlowDisk: a disk that takes nothing keeps nobody waiting. What does not fit is counted and told; the rest is
// written when it goes on, and the end does not wait for ever.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk, logged := &stuck{released: make(chan struct{})}, new(strings.Builder)
		l := New(slog.New(slog.NewTextHandler(logged, nil)), disk)
		begin(t, l, "-", JSON)
		begun := time.Now()
		const told = 3 * queued
		for range told {
			l.Outlet.Tell(one)
		}
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("a relay waited %v", waited)
		}
		if lost := l.Lost(); lost < queued || lost > told-queued {
			t.Errorf("%d of %d lines are lost", lost, told)
		}
		close(disk.released)
		synctest.Wait()
		l.Close()
		disk.mu.Lock()
		defer disk.mu.Unlock()
		if disk.lines+int(l.Lost()) != told || !strings.Contains(logged.String(), "lines of the access log were lost") {
			t.Errorf("%d written, %d lost of %d; logged %s", disk.lines, l.Lost(), told, logged)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		disk := &stuck{released: make(chan struct{})}
		l := New(slog.New(slog.DiscardHandler), disk)
		begin(t, l, "-", JSON)
		l.Outlet.Tell(one)
		begun := time.Now()
		l.Close()
		if waited := time.Since(begun); waited != endWithin {
			t.Errorf("the end waited %v", waited)
		}
		close(disk.released)
	})
}

// TestFullDisk: lines that a disk does not take are counted, and told once a minute.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk, logged := &stuck{released: make(chan struct{}), err: errors.New("no space left on device")}, new(strings.Builder)
		close(disk.released)
		l := New(slog.New(slog.NewTextHandler(logged, nil)), disk)
		begin(t, l, "-", JSON)
		for range 90 {
			l.Outlet.Tell(one)
			time.Sleep(time.Second)
		}
		l.Close()
		if n := strings.Count(logged.String(), "no space left"); l.Lost() != 90 || n != 2 {
			t.Errorf("%d lines are lost, told %d times:\n%s", l.Lost(), n, logged)
		}
	})
}

// TestBadFiles: what cannot be written is refused, and changes nothing.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	l := New(slog.New(slog.DiscardHandler), nil)
	begin(t, l, filepath.Join(folder, "access.log"), JSON)
	defer l.Close()
	for path, format := range map[string]string{folder: JSON, filepath.Join(folder, "none", "access.log"): JSON, filepath.Join(folder, "x"): "xml"} {
		if _, err := l.Prepare(path, format); err == nil {
			t.Errorf("%s in %s is accepted", path, format)
		}
	}
	if !l.Outlet.Wants() {
		t.Error("the log before is off")
	}
}

// TestNothingUnasked: a server whose log is off makes nothing of a connection that ends.
func TestNothingUnasked(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler), nil)
	var none *access.Outlet
	if n := testing.AllocsPerRun(1000, func() {
		if l.Outlet.Wants() || none.Wants() {
			t.Error("somebody is told")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
