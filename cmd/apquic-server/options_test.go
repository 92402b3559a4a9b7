package main

import (
	"testing"
	"time"

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
