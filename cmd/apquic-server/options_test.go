package main

import (
	"strings"
	"testing"
	"time"

	"rsc.io/qr"
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

// TestDrawQR: what is drawn has every module of the code.
func TestDrawQR(t *testing.T) {
	t.Parallel()
	code, err := qr.Encode("apquic://example", qr.L)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(drawQR(code), "\n"), "\n")
	if len(lines) != (code.Size+2*quiet+1)/2 {
		t.Fatalf("%d lines for %d modules", len(lines), code.Size)
	}
	for y := range code.Size {
		line := []rune(lines[(y+quiet)/2])
		for x := range code.Size {
			lights := map[rune]string{' ': "", '▀': "u", '▄': "l", '█': "ul"}[line[x+quiet]]
			half := "u"
			if (y+quiet)%2 == 1 {
				half = "l"
			}
			if code.Black(x, y) == strings.Contains(lights, half) {
				t.Fatalf("module %d, %d is %q", x, y, line[x+quiet])
			}
		}
	}
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"/var/lib/apquic-server": "/var/lib/apquic-server", "my data": "'my data'", "it's": `'it'\''s'`, "": ""} {
		if got := quoted(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
