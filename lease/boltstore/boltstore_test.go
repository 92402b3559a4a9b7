package boltstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"apquic/lease"
	"apquic/lease/leasetest"
)

func mustOpen(t *testing.T, path string) *store {
	t.Helper()
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened.(*store)
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "leases.db") }

func TestStore(t *testing.T) {
	t.Parallel()
	leasetest.Run(t,
		func(t *testing.T) lease.Store { return mustOpen(t, newPath(t)) },
		func(t *testing.T, closed lease.Store) lease.Store { return mustOpen(t, closed.(*store).path) })
}

// example writes a file with three leases, and returns what is in it.
func example(t *testing.T, path string) []lease.Lease {
	t.Helper()
	s := mustOpen(t, path)
	for i := range uint16(3) {
		l := lease.Lease{Key: leasetest.Key(byte(i), "web"), Port: 20000 + i, Origin: "tcp://127.0.0.1:80"}
		if i == 1 {
			l.HeldUntil = time.Now().Add(time.Hour)
		}
		if _, err := s.Put(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	leases, err := s.List(t.Context())
	if err != nil || len(leases) != 3 {
		t.Fatal(leases, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return leases
}

// change does something to the file that the store would not.
func change(t *testing.T, path string, do func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(do), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// wantRefused: a clear error with the file, a reason and a hint.
func wantRefused(t *testing.T, path, reason, hint string) {
	t.Helper()
	s, err := Open(path)
	if err == nil {
		s.Close()
		t.Fatalf("opened, want %q", reason)
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), reason) {
		t.Errorf("%v, want %q", err, reason)
	}
	if hinted, ok := err.(interface{ Hint() string }); !ok || !strings.Contains(hinted.Hint(), hint) {
		t.Errorf("%v: the hint is not %q", err, hint)
	}
}

func TestMode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	path := newPath(t)
	mustOpen(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOneProcess(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	first := mustOpen(t, path)
	wantRefused(t, path, "another process has it open", "another apquic-server is using this data directory")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
}

func TestCannotOpen(t *testing.T) {
	t.Parallel()
	if _, err := Open(filepath.Join(t.TempDir(), "no", "leases.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	denied := (&store{path: "leases.db"}).explain("opening", &fs.PathError{Op: "open", Path: "leases.db", Err: fs.ErrPermission})
	if hinted, ok := denied.(interface{ Hint() string }); !ok || !strings.Contains(hinted.Hint(), "read and write") || !errors.Is(denied, fs.ErrPermission) {
		t.Errorf("no permission: %v", denied)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	first := encodeKey(leasetest.Key(0, "web"))
	record := func(data string) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(leasesBucket).Put(first, []byte(data)) }
	}
	node := leasetest.Key(0, "web").Node.String()
	past := func(port uint16, data string) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(historyBucket).Put(encodePort(port), []byte(data)) }
	}
	for name, test := range map[string]struct {
		do           func(tx *bbolt.Tx) error
		reason, hint string
	}{
		"newer format":        {func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte("4")) }, `it has format "4"`, "version of apquic-server"},
		"no format":           {func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(formatKey) }, `it has format ""`, "version of apquic-server"},
		"no meta":             {func(tx *bbolt.Tx) error { return tx.DeleteBucket(metaBucket) }, `a bucket "history" but none called meta`, "version of apquic-server"},
		"no ports":            {func(tx *bbolt.Tx) error { return tx.DeleteBucket(portsBucket) }, "a bucket is missing", "backup"},
		"no history":          {func(tx *bbolt.Tx) error { return tx.DeleteBucket(historyBucket) }, "a bucket is missing", "backup"},
		"history":             {past(20000, `{"port":20000}`), "name of a service", "backup"},
		"history elsewhere":   {past(20001, `{"port":20000,"node":"`+node+`","service":"web","at":"2026-01-02T03:04:05Z","reason":"expired"}`), "under another key", "backup"},
		"history to come":     {past(20000, `{"port":20000,"node":"`+node+`","service":"web","at":"2026-01-02T03:04:05Z","reason":"expired","udp":true}`), `unknown field "udp"`, "backup"},
		"no leases":           {func(tx *bbolt.Tx) error { return tx.DeleteBucket(leasesBucket) }, "a bucket is missing", "backup"},
		"not JSON":            {record("{"), "cannot be read", "backup"},
		"empty":               {record(""), "cannot be read", "backup"},
		"newer field":         {record(`{"node":"` + node + `","service":"web","port":20000,"origin":"","revision":1,"udp":true}`), `unknown field "udp"`, "backup"},
		"more":                {record(`{"node":"` + node + `","service":"web","port":20000,"origin":"","revision":1} {}`), "something follows", "backup"},
		"other key":           {record(`{"node":"` + node + `","service":"ssh","port":20000,"origin":"","revision":1}`), "under another key", "backup"},
		"other port":          {record(`{"node":"` + node + `","service":"web","port":20009,"origin":"","revision":1}`), "do not agree", "backup"},
		"no port":             {record(`{"node":"` + node + `","service":"web","origin":"","revision":1}`), "needs a port", "backup"},
		"no revision":         {record(`{"node":"` + node + `","service":"web","port":20000,"origin":""}`), "no revision", "backup"},
		"long":                {record(strings.Repeat(" ", maxRecord+1)), "16385 bytes", "backup"},
		"record without port": {func(tx *bbolt.Tx) error { return tx.Bucket(portsBucket).Delete(encodePort(20000)) }, "3 records but 2 ports", "backup"},
		"port without record": {func(tx *bbolt.Tx) error { return tx.Bucket(leasesBucket).Delete(first) }, "do not agree", "backup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			example(t, path)
			change(t, path, test.do)
			wantRefused(t, path, test.reason, test.hint)
			wantRefused(t, path, test.reason, test.hint) // the first did not hold on to it, nor repair it
		})
	}
}

// TestFormerFormat: a file of a version before is brought up to date, once.
func TestFormerFormat(t *testing.T) {
	t.Parallel()
	for former, lacks := range map[string]func(*bbolt.Tx) error{
		"1": func(tx *bbolt.Tx) error { return tx.DeleteBucket(historyBucket) },
		"2": func(*bbolt.Tx) error { return nil },
	} {
		t.Run(former, func(t *testing.T) { testFormerFormat(t, former, lacks) })
	}
}

func testFormerFormat(t *testing.T, former string, lacks func(*bbolt.Tx) error) {
	t.Parallel()
	path := newPath(t)
	want := example(t, path)
	change(t, path, func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket(metaBucket).Put(formatKey, []byte(former)), lacks(tx))
	})
	for range 2 {
		s := mustOpen(t, path)
		if got, err := s.List(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	change(t, path, func(tx *bbolt.Tx) error {
		if got := tx.Bucket(metaBucket).Get(formatKey); string(got) != string(format) {
			t.Errorf("the format is %q", got)
		}
		return nil
	})
}

// TestDamagedWhileOpen: a write does not go over what it cannot read.
func TestDamagedWhileOpen(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newPath(t))
	l, err := s.Put(t.Context(), lease.Lease{Key: leasetest.Key(1, "web"), Port: 20000})
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(leasesBucket).Put(encodeKey(l.Key), []byte("?")) })
	if err != nil {
		t.Fatal(err)
	}
	_, put := s.Put(t.Context(), l)
	_, list := s.List(t.Context())
	for doing, err := range map[string]error{"Put": put, "Delete": s.Delete(t.Context(), l.Key, l.Revision), "List": list} {
		if !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", doing, err)
		}
	}
}

// TestForeignFile: neither read nor written over.
func TestForeignFile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"short": "hello", "long": strings.Repeat("hello world ", 10000), "zeros": string(make([]byte, 1<<16)),
	} {
		path := newPath(t)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, path, "lease file", "backup")
		if after, err := os.ReadFile(path); err != nil || string(after) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// TestBrokenFile: a file that was cut off, or lost a page, gives an error or all that was written, and no
// crash. (Wrong bytes within a page are beyond bbolt, which has no checksum there.)
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	want := example(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	refused, attempts := 0, 0
	for i := range 2 * len(whole) / page {
		broken := slices.Clone(whole)
		if at := i / 2 * page; i%2 == 0 {
			clear(broken[at:][:page])
		} else {
			broken = broken[:at+page/2]
		}
		attempts++
		path := filepath.Join(t.TempDir(), "leases.db")
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			refused++
			continue
		}
		got, err := s.List(t.Context())
		missing := 0
		if i == 0 || i == 2 {
			missing = 1 // without one of its two meta pages bbolt may go back by one transaction
		}
		if err != nil || len(got) < len(want)-missing || len(got) > len(want) {
			t.Errorf("attempt %d: %d leases, %v", i, len(got), err)
		}
		s.Close()
	}
	if refused == 0 {
		t.Errorf("none of %d broken files was refused", attempts)
	}
	t.Logf("%d of %d were refused", refused, attempts)
}

// TestDiskFull: a write that has no room is an error, and everything before it stays.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s, err := open(path, bbolt.Options{MaxSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	written := 0
	for i := range 1000 {
		l := lease.Lease{Key: leasetest.Key(byte(i), "web"), Port: uint16(1 + i), Origin: strings.Repeat("x", 2000)}
		l.Key.Node[1] = byte(i >> 8)
		if _, err = s.Put(t.Context(), l); err != nil {
			break
		}
		written++
	}
	if !errors.Is(err, berrors.ErrMaxSizeReached) || !strings.Contains(err.Error(), path) || written == 0 {
		t.Fatalf("after %d: %v", written, err)
	}
	if leases, err := s.List(t.Context()); err != nil || len(leases) != written {
		t.Fatalf("%d leases of %d, %v", len(leases), written, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	leases, err := mustOpen(t, path).List(t.Context())
	if err != nil || len(leases) != written {
		t.Errorf("opened again: %d leases of %d, %v", len(leases), written, err)
	}
}

func TestCancelledInTheQueue(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newPath(t))
	tx, err := s.db.Begin(true) // somebody else writes
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.Put(ctx, lease.Lease{Key: leasetest.Key(1, "web"), Port: 20000})
		done <- err
	}()
	cancel()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if leases, err := s.List(t.Context()); err != nil || len(leases) != 0 {
		t.Errorf("%v, %v", leases, err)
	}
}

// TestLessor: a lease survives the end of the process, without a word of goodbye.
func TestLessor(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	r, err := lease.ParsePortRange("20000-20009")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s := mustOpen(t, path)
		l, err := lease.NewLessor(lease.Config{Store: s, Ports: r, Binder: anyPort{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, n := range []byte{2, 1, 3} {
			want := map[byte]uint16{2: 20000, 1: 20001, 3: 20002}[n]
			g, err := l.Grant(t.Context(), lease.Request{Key: leasetest.Key(n, "web")})
			if err != nil || g.Port != want {
				t.Errorf("node %d has port %d: %v", n, g.Port, err)
			}
		}
		s.Close()
	}
}

type anyPort struct{}

func (anyPort) Bind(lease.Lease) error { return nil }
func (anyPort) Unbind(lease.Lease)     {}

// TestHistorySize: a port has one record of what it was, however often it changes hands.
func TestHistorySize(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newPath(t))
	for i := range byte(20) {
		l, err := s.Put(t.Context(), lease.Lease{Key: leasetest.Key(i, "web"), Port: 20000})
		if err != nil {
			t.Fatal(err)
		}
		over := lease.Ended{Key: l.Key, Port: 20000, At: time.Now(), Reason: lease.Expired}
		if err := s.Delete(t.Context(), l.Key, l.Revision, over); err != nil {
			t.Fatal(err)
		}
	}
	history, err := s.History(t.Context())
	if err != nil || len(history) != 1 || history[0].Key != leasetest.Key(19, "web") {
		t.Errorf("%+v, %v", history, err)
	}
}

func FuzzDecodeEnded(f *testing.F) {
	e := lease.Ended{Key: leasetest.Key(1, "web"), Port: 20000, At: time.Unix(1e9, 5).UTC(), Reason: lease.GivenAway}
	data, err := encodeEnded(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodePort(20000), data)
	f.Add(encodePort(20000), []byte(`{"port":20000,"reason":"`+strings.Repeat("x", 65)+`"}`))
	f.Fuzz(func(t *testing.T, key, data []byte) {
		e, err := decodeEnded(key, data)
		if err != nil {
			return
		}
		again, err := encodeEnded(e)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", e, err)
		}
		if e2, err := decodeEnded(key, again); err != nil || e2.Key != e.Key || e2.Port != e.Port || !e2.At.Equal(e.At) || e2.Reason != e.Reason {
			t.Fatalf("%+v became %+v: %v", e, e2, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	key := lease.Key{Node: leasetest.Key(1, "").Node, Service: "web"}
	for _, l := range []lease.Lease{
		{Key: key, Port: 20000, Revision: 1},
		{Key: key, Port: 20000, Transport: lease.TCPAndUDP, Revision: 1},
		{Key: key, Port: 1, Origin: "tcp://127.0.0.1:80", HeldUntil: time.Unix(1e9, 5).UTC(), Revision: 1 << 60},
		{Key: key, Port: 1, HeldUntil: time.Unix(1e9, 5).UTC(), Kept: true, Pinned: true, Reserved: true, Revision: 2},
	} {
		data, err := encode(l)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encodeKey(key), data)
	}
	f.Add(encodeKey(key), []byte(`{"node":null,"service":"web"}`))
	f.Add([]byte{}, []byte(`{}`))
	f.Fuzz(func(t *testing.T, key, data []byte) {
		l, err := decode(key, data)
		if err != nil {
			return
		}
		again, err := encode(l)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", l, err)
		}
		l2, err := decode(key, again)
		if err != nil || l2.Key != l.Key || l2.Port != l.Port || l2.Origin != l.Origin || l2.Revision != l.Revision || l2.Kept != l.Kept || l2.Pinned != l.Pinned || l2.Reserved != l.Reserved || !l2.HeldUntil.Equal(l.HeldUntil) {
			t.Fatalf("%+v became %+v: %v", l, l2, err)
		}
	})
}
