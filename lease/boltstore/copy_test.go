package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"apquic/internal/boltcopy"
	"apquic/lease"
	"apquic/lease/leasetest"
)

// exported is a copy of a store with many leases, ports and domains, and some history.
func exported(t testing.TB, path string) (leases []lease.Lease, history []lease.Ended, copied []byte) {
	t.Helper()
	s, err := open(path, noSync)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 2*boltcopy.Batch + 1 {
		l := lease.Lease{Key: leasetest.Key(byte(i), fmt.Sprintf("service-%d", i)), Port: uint16(1000 + i), Origin: "tcp://127.0.0.1:80"}
		switch i % 3 {
		case 1:
			l.Port, l.Domain = 0, fmt.Sprintf("n%d.example.org", i)
		case 2:
			l.HeldUntil, l.Kept = time.Now().Add(time.Hour), true
		}
		e := lease.Ended{Key: leasetest.Key(byte(i), "before"), Port: uint16(1000 + i), At: time.Now(), Reason: lease.Expired}
		if _, err := s.Put(t.Context(), l, e); err != nil {
			t.Fatal(err)
		}
	}
	leases, err = s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if history, err = s.History(t.Context()); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := Export(t.Context(), s, &b); err != nil || n != len(leases) {
		t.Fatalf("%d leases of %d: %v", n, len(leases), err)
	}
	return leases, history, b.Bytes()
}

// TestCopy: a store made from a copy has the same, and goes on from there.
func TestCopy(t *testing.T) {
	t.Parallel()
	leases, history, copied := exported(t, newPath(t))
	path := newPath(t)
	if err := Import(os.OpenFile, path, bytes.NewReader(copied)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path)
	if got, err := s.List(t.Context()); err != nil || !slices.Equal(got, leases) {
		t.Errorf("%d leases of %d, or others: %v", len(got), len(leases), err)
	}
	if got, err := s.History(t.Context()); err != nil || !reflect.DeepEqual(got, history) {
		t.Errorf("%d ended leases of %d, or others: %v", len(got), len(history), err)
	}
	l, err := s.Put(t.Context(), lease.Lease{Key: leasetest.Key(1, "new"), Port: 1})
	if err != nil || slices.ContainsFunc(leases, func(old lease.Lease) bool { return old.Revision >= l.Revision }) {
		t.Errorf("a new lease has revision %d: %v", l.Revision, err)
	}
}

// TestDamagedCopy: nothing is taken of it that a store would not have.
func TestDamagedCopy(t *testing.T) {
	t.Parallel()
	node := leasetest.Key(0, "web").Node.String()
	record := `lease {"node":"` + node + `","service":"web","port":20000,"origin":"","revision":1}` + "\n"
	over := `ended {"port":20000,"node":"` + node + `","service":"web","at":"2026-01-02T03:04:05Z","reason":"expired"}` + "\n"
	for copied, want := range map[string]error{
		"": errFormat, "leases 2\n": errFormat, "leases 3 \n": errFormat, "leases " + strings.Repeat("3", 1<<20): errFormat,
		"leases 3\n":                       nil,
		"leases 3\n" + record + over:       nil,
		"leases 3\n\n":                     errDamaged,
		"leases 3\nports\n":                errDamaged,
		"leases 3\nlease \n":               errDamaged,
		"leases 3\n" + record + record:     errDamaged,
		"leases 3\n" + over + over:         errDamaged,
		"leases 3\n" + record[:40]:         errDamaged,
		"leases 3\n" + record + record[6:]: errDamaged,
		"leases 3\n" + record + strings.Replace(record, "web", "ssh", 1):          errDamaged, // the same port
		"leases 3\n" + record + strings.Replace(record, "20000", "20001", 1):      errDamaged, // the same service
		"leases 3\n" + strings.Replace(record, `"revision":1`, `"revision":0`, 1): errDamaged,
		"leases 3\n" + strings.Replace(record, `"origin"`, `"udp":1,"origin"`, 1): errDamaged,
	} {
		err := Import(os.OpenFile, newPath(t), strings.NewReader(copied))
		if !errors.Is(err, want) {
			t.Errorf("%.150q: %v", copied, err)
		}
	}
	if err := Import(os.OpenFile, newPath(t), strings.NewReader("leases 3\nlease "+strings.Repeat("x", maxRecord+1))); err == nil {
		t.Error("a line without an end")
	}
}

// FuzzCopyLine: what is taken of a copy is what a store would have. Nothing is written to the disk, which takes long.
func FuzzCopyLine(f *testing.F) {
	path := f.TempDir() + "/leases.db"
	_, _, copied := exported(f, path)
	f.Add(bytes.Join(bytes.SplitAfter(copied, []byte("\n"))[1:4], nil))
	f.Add(copied[len(copied)-500:])
	empty, err := open(path+"2", noSync)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { empty.Close() })
	f.Fuzz(func(t *testing.T, copied []byte) {
		tx, err := empty.db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		taken := 0
		for line := range bytes.Lines(copied) {
			if copyLine(tx, bytes.TrimSuffix(line, []byte("\n"))) == nil {
				taken++
			}
		}
		leases, err := readAll(tx)
		if err != nil {
			t.Fatal(err)
		}
		have := len(leases)
		tx.Bucket(historyBucket).ForEach(func(_, _ []byte) error { have++; return nil })
		if have != taken {
			t.Fatalf("%d lines were taken, and %d are there", taken, have)
		}
	})
}

var noSync = bbolt.Options{NoSync: true}
