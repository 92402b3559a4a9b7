package main

import (
	"math"
	"testing"
	"time"
	_ "time/tzdata"

	"apquic/internal/cli"
)

func TestExpiry(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{"24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "90s": 90 * time.Second, "1h30m": 90 * time.Minute} {
		var e expiry
		if err := e.Set(s); err != nil || time.Duration(e) != want {
			t.Errorf("%s: %v, %v", s, time.Duration(e), err)
		}
	}
	for _, s := range []string{"", "7", "d", "-1h", "-1d", "0s", "0d", "1.5d", "99999d", "never"} {
		var e expiry
		if err := e.Set(s); err == nil {
			t.Errorf("%q: %v", s, time.Duration(e))
		}
	}
	if e := expiry(7 * 24 * time.Hour); e.String() != "7d" {
		t.Error(e.String())
	}
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"/var/lib/apquic-server": "/var/lib/apquic-server", "my data": "'my data'", "it's": `'it'\''s'`, "": ""} {
		if got := cli.Quoted(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// TestFirstDay: days are counted in UTC, also where clocks were changed between them.
func TestFirstDay(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		now  time.Time
		days int
		want string
	}{
		{time.Date(2026, 11, 1, 0, 30, 0, 0, time.UTC), 1, "2026-11-01"}, {time.Date(2026, 11, 1, 0, 30, 0, 0, time.UTC), 0, "2026-11-01"},
		{time.Date(2026, 11, 1, 0, 30, 0, 0, berlin), 2, "2026-10-30"}, // still October in UTC
		{time.Date(2026, 11, 1, 1, 30, 0, 0, berlin), 30, "2026-10-03"},
		{time.Date(2026, 11, 1, 1, 30, 0, 0, berlin), 400000, "1970-01-01"},
		{time.Date(2026, 11, 1, 1, 30, 0, 0, berlin), math.MaxInt, "1970-01-01"},
	} {
		if got := firstDay(test.now, test.days).String(); got != test.want {
			t.Errorf("%d days until %v begin on %s, want %s", test.days, test.now, got, test.want)
		}
	}
}
