package totals

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/internal/usage"
	"apquic/lease"
)

var (
	garage, attic = certs.NodeID{1}, certs.NodeID{2}
	noon          = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	discard       = slog.New(slog.DiscardHandler)
	eachRow       = Query{To: maxDay, ByDay: true, ByNode: true, ByService: true}
)

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "totals.db") }

// opened are totals whose clock says noon.
func opened(t testing.TB, path string, most bounds) *Totals {
	t.Helper()
	totals := newTotals(path, discard, most)
	if err := errors.Join(totals.turn(noon), totals.open()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { totals.Close() })
	return totals
}

func web(node certs.NodeID) lease.Key { return lease.Key{Node: node, Service: "web"} }

// told is what there is, in a text.
func told(t testing.TB, totals *Totals, q Query) string {
	t.Helper()
	sums, err := totals.Sum(q)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range sums {
		all = append(all, fmt.Sprintf("%v %d %s %d/%d/%d/%d/%d", s.Day, s.Node[0], s.Service, s.In, s.Out, s.Connections, s.Flows, s.Refused))
	}
	return strings.Join(all, ", ")
}

// TestDaysOfTotals: what passes belongs to the day on which it did, over restarts, whatever the clock does.
func TestDaysOfTotals(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	add := func(totals *Totals, n usage.Counts) { totals.Add(web(garage), n) }
	totals := opened(t, path, usual)
	add(totals, usage.Counts{In: 1, Out: 2, Connections: 1})
	totals.Keep(noon.Add(12*time.Hour - time.Second))
	add(totals, usage.Counts{In: 10, Flows: 1})
	totals.Keep(noon.Add(12 * time.Hour)) // what passed until midnight
	add(totals, usage.Counts{In: 100, Refused: 3})
	if got, want := told(t, totals, eachRow), "2026-11-28 1 web 100/0/0/0/3, 2026-11-27 1 web 11/2/1/1/0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	totals.Keep(noon.Add(13 * time.Hour))
	add(totals, usage.Counts{In: 1e6}) // lost in a crash
	totals.Close()

	totals = opened(t, path, usual)
	add(totals, usage.Counts{In: 1000})
	totals.Keep(noon.Add(-48 * time.Hour)) // the clock steps back
	add(totals, usage.Counts{Out: 7})
	totals.Keep(noon)
	add(totals, usage.Counts{Out: 5})
	if got, want := told(t, totals, eachRow), "2026-11-28 1 web 100/0/0/0/3, 2026-11-27 1 web 1011/7/1/1/0, 2026-11-25 1 web 0/7/0/0/0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMonthOfTotals: what a node used in a month survives a restart, and the days that had to go; the next month begins
// with nothing.
func TestMonthOfTotals(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	few := usual
	few.days = 2
	totals := opened(t, path, few)
	for day := range 5 {
		totals.Keep(noon.AddDate(0, 0, day-10))
		totals.Add(web(garage), usage.Counts{In: 10, Out: 1})
		totals.Add(web(attic), usage.Counts{Connections: 1})
		totals.Add(lease.Key{Service: "a group"}, usage.Counts{In: 5})
	}
	if n := totals.Month(garage); n != 55 {
		t.Errorf("%d bytes", n)
	}
	totals.Keep(noon)
	totals.Add(web(garage), usage.Counts{In: 100})
	totals.Keep(noon)
	totals.Close()
	totals = opened(t, path, few)
	if n := totals.Month(garage); n != 155 || totals.Month(attic) != 0 || totals.Month(certs.NodeID{}) != 0 {
		t.Errorf("%d bytes after a restart", n)
	}
	if got, want := told(t, totals, Query{To: maxDay, ByDay: true}), "2026-11-27 0  100/0/0/0/0, 2026-11-21 0  15/1/1/0/0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	totals.Add(web(garage), usage.Counts{In: 1})
	totals.Keep(noon.AddDate(0, 0, 4))
	if n := totals.Month(garage); n != 0 {
		t.Errorf("%d bytes in the next month", n)
	}
	totals.Add(web(garage), usage.Counts{In: 3})
	totals.Keep(noon) // the clock steps back
	if n := totals.Month(garage); n != 156 {
		t.Errorf("%d bytes in the month before", n)
	}
	totals.Keep(noon.AddDate(0, 0, 4))
	if n := totals.Month(garage); n != 3 {
		t.Errorf("%d bytes of the next month", n)
	}
}

// TestTotalsAreBounded: neither services that are renamed all day nor nodes without number fill the file, and every byte
// is in some row.
func TestTotalsAreBounded(t *testing.T) {
	t.Parallel()
	most := bounds{days: 3, months: 2, rows: 100, services: 4, waiting: 50}
	totals := opened(t, newPath(t), most)
	for i := range 30 { // one node, in memory and in the file
		totals.Add(lease.Key{Node: garage, Service: fmt.Sprintf("s%02d", i)}, usage.Counts{In: 1})
		if len(totals.pending) > most.services+1 {
			t.Fatalf("%d rows wait", len(totals.pending))
		}
		if i%7 == 0 {
			totals.Keep(noon)
		}
	}
	totals.Keep(noon)
	if got, want := told(t, totals, eachRow), "2026-11-27 1  26/0/0/0/0, 2026-11-27 1 s00 1/0/0/0/0, 2026-11-27 1 s01 1/0/0/0/0, 2026-11-27 1 s02 1/0/0/0/0, 2026-11-27 1 s03 1/0/0/0/0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for i := range 500 { // many nodes
		totals.Add(web(certs.NodeID{3, byte(i), byte(i >> 8)}), usage.Counts{In: 1})
		if len(totals.pending) > most.waiting+1 || len(totals.used) > most.rows {
			t.Fatalf("%d rows wait, %d nodes are known", len(totals.pending), len(totals.used))
		}
		if i%40 == 0 {
			totals.Keep(noon)
		}
	}
	totals.Keep(noon)
	if n := totals.stored.days[DayOf(noon)]; n > most.rows {
		t.Errorf("%d rows", n)
	}
	if got, want := told(t, totals, Query{To: maxDay}), "1970-01-01 0  530/0/0/0/0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	totals.Keep(noon.AddDate(0, 0, 1)) // the oldest day goes first
	totals.Add(web(garage), usage.Counts{Out: 1})
	totals.Keep(noon.AddDate(0, 0, 1))
	if got, want := told(t, totals, eachRow), "2026-11-28 1 web 0/1/0/0/0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for i := range 40 { // days and months
		totals.Keep(noon.AddDate(0, i, 0))
		totals.Add(web(garage), usage.Counts{Out: 1})
	}
	totals.Keep(noon)
	if len(totals.stored.days) != most.days || len(totals.stored.months) != most.months {
		t.Errorf("%d days, %d months", len(totals.stored.days), len(totals.stored.months))
	}
	again := totals.stored
	if err := totals.db.View(totals.check); err != nil || len(again.days) != len(totals.stored.days) || len(again.months) != len(totals.stored.months) {
		t.Errorf("%v: counted %v, there are %v", err, again, totals.stored)
	}
}

// TestClockThatWasWrong: a day that was never removes none of the others.
func TestClockThatWasWrong(t *testing.T) {
	t.Parallel()
	totals := opened(t, newPath(t), usual)
	totals.Add(web(garage), usage.Counts{In: 1})
	for _, now := range []time.Time{noon.AddDate(70, 0, 0), time.Unix(-5, 0), time.Unix(math.MaxInt32*1e6, 0), noon} {
		totals.Keep(now)
		totals.Add(web(garage), usage.Counts{In: 1})
	}
	if got, want := told(t, totals, Query{To: DayOf(noon), From: DayOf(noon), ByDay: true}), "2026-11-27 0  2/0/0/0/0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if rows := len(strings.Split(told(t, totals, eachRow), ",")); rows != 4 {
		t.Errorf("%d rows", rows)
	}
}

// TestSum: the selection of rows.
func TestSum(t *testing.T) {
	t.Parallel()
	totals := opened(t, newPath(t), usual)
	for i, now := range []time.Time{noon, noon.AddDate(0, 0, 1), noon.AddDate(0, 0, 2)} {
		totals.Keep(now)
		totals.Add(web(garage), usage.Counts{In: 1 << i})
		totals.Add(lease.Key{Node: garage, Service: "ssh"}, usage.Counts{In: 10 << i})
		totals.Add(web(attic), usage.Counts{In: 100 << i})
	}
	day := DayOf(noon)
	for _, test := range []struct {
		q    Query
		want string
	}{
		{Query{From: day, To: day}, "1970-01-01 0  111/0/0/0/0"},
		{Query{From: day, To: day + 1, ByDay: true}, "2026-11-28 0  222/0/0/0/0, 2026-11-27 0  111/0/0/0/0"},
		{Query{To: maxDay, ByNode: true}, "1970-01-01 2  700/0/0/0/0, 1970-01-01 1  77/0/0/0/0"},
		{Query{To: maxDay, ByService: true}, "1970-01-01 0 web 707/0/0/0/0, 1970-01-01 0 ssh 70/0/0/0/0"},
		{Query{To: maxDay, Node: garage, ByService: true}, "1970-01-01 0 ssh 70/0/0/0/0, 1970-01-01 0 web 7/0/0/0/0"},
		{Query{To: maxDay, Service: "ssh", ByNode: true}, "1970-01-01 1  70/0/0/0/0"},
		{Query{From: day + 3, To: maxDay}, ""},
	} {
		if got := told(t, totals, test.q); got != test.want {
			t.Errorf("%+v: %s, want %s", test.q, got, test.want)
		}
	}
}

// TestFileCannotBeUsed: a file that is not one of totals is not changed, and the reason and what to do are logged once;
// what passes is kept in memory, and written once the file can be.
func TestFileCannotBeUsed(t *testing.T) {
	t.Parallel()
	example := newPath(t)
	totals := opened(t, example, usual)
	totals.Add(web(garage), usage.Counts{In: 1})
	totals.Keep(noon)
	totals.Close()
	good, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(do func(tx *bbolt.Tx) error) []byte {
		path := newPath(t)
		os.WriteFile(path, good, 0o600)
		db, err := bbolt.Open(path, 0o600, nil)
		if err := errors.Join(err, db.Update(do), db.Close()); err != nil {
			t.Fatal(err)
		}
		content, _ := os.ReadFile(path)
		return content
	}
	put := func(bucket, key, data []byte) []byte {
		return changed(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, data) })
	}
	row := Row{1, garage, "web"}.key()
	for reason, content := range map[string][]byte{
		"it has only 5 bytes":                 []byte("hello"),
		"invalid database":                    []byte(strings.Repeat("hello world ", 10000)),
		`it has format "2"`:                   put(metaBucket, formatKey, []byte("2")),
		"a bucket is missing":                 changed(func(tx *bbolt.Tx) error { return tx.DeleteBucket(monthsBucket) }),
		"no bucket called meta":               changed(func(tx *bbolt.Tx) error { return tx.DeleteBucket(metaBucket) }),
		"a key has 3 bytes":                   put(daysBucket, []byte("key"), nil),
		"a row of day 4294967295":             put(daysBucket, bytes.Repeat([]byte{255}, 40), nil),
		"a row lacks a number":                put(daysBucket, row, []byte{1, 2, 3, 4}),
		"something follows the numbers":       put(daysBucket, row, []byte{1, 2, 3, 4, 5, 6}),
		"a row is not of a month":             put(monthsBucket, row, []byte{1}),
		"a row lacks a number#":               put(monthsBucket, Row{Node: garage}.key(), nil),
		"the file is damaged: runtime error#": good[:2*os.Getpagesize()],
	} {
		path := newPath(t)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := newTotals(path, discard, usual).open()
		reason, loose, _ := strings.Cut(reason, "#")
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), reason) && loose == "" && !strings.HasPrefix(reason, "the file is damaged: ") || !strings.Contains(hint.Of(err), "begin anew") {
			t.Errorf("%s: %v (%s)", reason, err, hint.Of(err))
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
			t.Errorf("%s: the file was changed", reason)
		}
	}

	path := newPath(t)
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	totals = Open(path, slog.New(slog.NewTextHandler(&log, nil)))
	defer totals.Close()
	for range 3 {
		totals.Add(web(garage), usage.Counts{In: 2})
		totals.Keep(time.Now())
	}
	if lines := strings.Count(log.String(), "totals cannot be written"); lines != 1 || totals.Month(garage) != 6 || !strings.Contains(told(t, totals, Query{To: maxDay}), " 6/0/0/0/0") {
		t.Errorf("%d lines, %d bytes:\n%s", lines, totals.Month(garage), &log)
	}
	if err := os.Rename(path, path+".broken"); err != nil {
		t.Fatal(err)
	}
	totals.Keep(time.Now())
	if !strings.Contains(log.String(), "totals are written again") {
		t.Errorf("still:\n%s", &log)
	}
	totals.Close()
	read, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if got := told(t, read, Query{To: maxDay}); !strings.Contains(got, " 6/0/0/0/0") || read.Month(garage) != 6 {
		t.Errorf("%s", got)
	}
}

// TestCopy: a copy that is made while something passes has all of it, and a damaged one is refused.
func TestCopy(t *testing.T) {
	t.Parallel()
	totals := opened(t, newPath(t), usual)
	for i := range 3000 {
		totals.Add(lease.Key{Node: certs.NodeID{byte(i), byte(i >> 8), 1}, Service: "web"}, usage.Counts{In: uint64(i), Refused: 1})
	}
	totals.settle = func() { totals.Add(web(garage), usage.Counts{In: 5}) }
	var copied bytes.Buffer
	if err := totals.Export(&copied); err != nil {
		t.Fatal(err)
	}
	totals.settle = nil
	path := newPath(t)
	restore := func(from string) error { return Import(os.OpenFile, path, strings.NewReader(from)) }
	if err := restore(copied.String()); err != nil {
		t.Fatal(err)
	}
	again := opened(t, path, usual)
	if got, want := told(t, again, eachRow), told(t, totals, eachRow); got != want || again.Month(garage) != 5 {
		t.Errorf("%.200s, want %.200s", got, want)
	}
	if info, err := os.Stat(path); runtime.GOOS != "windows" && (err != nil || info.Mode() != 0o600) {
		t.Errorf("%v %v", info.Mode(), err)
	}
	lines := strings.SplitAfter(copied.String(), "\n")
	for what, text := range map[string]string{
		"begin with":     strings.Join(lines[1:], ""),
		"there twice":    lines[0] + lines[1] + lines[1],
		"neither":        lines[0] + `{"day":"2026-11-27","month":5}`,
		"255":            lines[0] + `{"day":"2026-11-27","service":"` + strings.Repeat("x", 256) + `","counts":{}}`,
		"unknown":        lines[0] + `{"day":"2026-11-27","x":5}`,
		"is not a day":   lines[0] + `{"day":"2026-11-32","counts":{}}`,
		"token too long": lines[0] + strings.Repeat(" ", maxLine+1),
	} {
		path = newPath(t)
		if err := restore(text); err == nil || !strings.Contains(err.Error(), what) && what != "255" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestStart: what passes is settled and written at full minutes and at the end.
func TestStart(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	totals := Open(path, discard)
	settled := 0
	end := totals.Start(func() { settled++; totals.Add(web(garage), usage.Counts{In: 1}) })
	end()
	if settled == 0 {
		t.Fatal("nothing was settled")
	}
	totals.Add(web(garage), usage.Counts{In: 100}) // too late
	if err := totals.Write(); err != nil {
		t.Errorf("after the end: %v", err)
	}
	if got := told(t, opened(t, path, usual), Query{To: maxDay}); !strings.Contains(got, fmt.Sprintf(" %d/0/0/0/0", settled)) {
		t.Errorf("%s, settled %d times", got, settled)
	}
	if sums, err := totals.Sum(eachRow); err == nil { // the API still answers
		t.Errorf("after the end there is %v", sums)
	}
	var copied bytes.Buffer
	if err := totals.Export(&copied); err == nil {
		t.Errorf("after the end a copy has %s", &copied)
	}
}

// FuzzRow: whatever is in a file gives an error or a row that is written in the same way.
func FuzzRow(f *testing.F) {
	f.Add(Row{20000, garage, "web"}.key(), encode(usage.Counts{In: 1, Out: math.MaxUint64, Refused: 5}))
	f.Add([]byte("key"), []byte{0x80, 0x80, 0})
	f.Fuzz(func(t *testing.T, key, data []byte) {
		if row, err := readKey(key); err == nil && !bytes.Equal(row.key(), key) {
			t.Errorf("%x is %+v is %x", key, row, row.key())
		}
		if n, err := decode(data); err == nil && !bytes.Equal(encode(n), data) {
			t.Errorf("%x is %+v is %x", data, n, encode(n))
		}
		if row, _, err := readMonthRow(key, data); err == nil && row.Day.String() != row.Day.time().Format("2006-01")+"-01" {
			t.Errorf("%x is %+v", key, row)
		}
	})
}

// FuzzCopy: whatever a backup has gives an error or a file that can be opened.
func FuzzCopy(f *testing.F) {
	f.Add(`{"day":"2026-11-27","node":"` + garage.String() + `","service":"web","counts":{"bytesIn":1}}`)
	f.Add(`{"day":"2026-11-01","node":"` + garage.String() + `","month":5}`)
	f.Fuzz(func(t *testing.T, lines string) {
		path := newPath(t)
		if Import(os.OpenFile, path, strings.NewReader(header+string(format)+"\n"+lines)) != nil {
			return
		}
		totals := newTotals(path, discard, usual)
		defer totals.Close()
		if err := totals.open(); err != nil {
			t.Error(err)
		}
	})
}

// TestCounts: sums stop at the largest number, and differences at 0.
func TestCounts(t *testing.T) {
	t.Parallel()
	large := usage.Counts{In: math.MaxUint64, Out: 2, Connections: 1}
	if sum := large.Plus(usage.Counts{In: 5, Out: 5}); sum.In != math.MaxUint64 || sum.Out != 7 || large.Bytes() != math.MaxUint64 {
		t.Errorf("%+v", sum)
	}
	if n := (usage.Counts{In: 3, Out: 9}).Since(usage.Counts{In: 5, Out: 4}); n != (usage.Counts{Out: 5}) {
		t.Errorf("%+v", n)
	}
	if !slices.Equal(encode(usage.Counts{In: 1, Flows: 300}), []byte{1, 0, 0, 0xac, 2, 0}) {
		t.Error("the encoding is another one")
	}
}
