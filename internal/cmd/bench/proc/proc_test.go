package proc

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestParseCPU(t *testing.T) {
	const stat = "4242 (a (b) c) S 1 4242 4242 0 -1 4194560 900 0 3 0 150 25 7 8 20 0 9 0 100 1000 200"
	got, err := parseCPU([]byte(stat))
	if err != nil || got != 1750*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "12 (x) S 1 2", "12 (x) S 1 2 3 4 5 6 7 8 9 10 many 12 13"} {
		if got, err := parseCPU([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
}

func TestParseKilobytes(t *testing.T) {
	const rollup = "00400000-7ffe [rollup]\nRss:    2048 kB\nPss:     1000 kB\nPss_Dirty:  900 kB\n"
	if got, err := parseKilobytes([]byte(rollup), "Pss:"); err != nil || got != 1000<<10 {
		t.Errorf("%d, %v", got, err)
	}
	if got, err := parseKilobytes([]byte(rollup), "VmRSS:"); err == nil {
		t.Errorf("found %d", got)
	}
}

func TestLines(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l := newLines()
	any := regexp.MustCompile(`(\w+) is ready`)
	go func() {
		l.Write([]byte("first is not\n\x1b[32msecond is re"))
		l.Write([]byte("ady\x1b[0m\nthird is ready\n"))
		l.close()
	}()
	for _, want := range []string{"second", "third"} {
		match, err := l.next(ctx, any)
		if err != nil || match[1] != want {
			t.Fatalf("%q, %v; want %s", match, err, want)
		}
	}
	if match, err := l.next(ctx, any); err != errEnded {
		t.Errorf("%q, %v after the end", match, err)
	}
	cancel()
	if _, err := newLines().next(ctx, any); err != context.Canceled {
		t.Errorf("%v after the context ended", err)
	}
}

func TestLinesAreForgotten(t *testing.T) {
	l := newLines()
	l.Write([]byte(strings.Repeat("noise\n", maxLines+100)))
	if len(l.waiting) != maxLines {
		t.Errorf("%d lines are kept", len(l.waiting))
	}
}
