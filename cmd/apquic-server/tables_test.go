package main

import (
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"apquic/admin"
	"apquic/certs"
)

func TestTables(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)
	since := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	id := certs.NodeID{1}
	status := admin.Status{
		Running: true, Since: since(6*24*time.Hour + 3*time.Hour + 59*time.Minute), Address: "tunnel.example.com:8090", Used: 3, Ports: 2001,
		Services: []admin.Service{
			{Node: id, Name: "mums-nas", Service: "files", Port: 20001, State: admin.Away},
			{Node: id, Name: "shed-pi", Service: "ssh", Port: 20022, State: admin.Online, Since: since(50 * time.Hour), Connections: 1, In: 14_200_000, Out: 2_000_000, From: "91.12.3.4"},
			{Node: id, Name: "a-name-that-is-much-too-long", Service: "a-service-with-a-long-name", Port: 20000, State: admin.Online, Since: since(2 * time.Hour),
				Connections: 1200, In: 1_100_000_000, Out: 31_000_000_000, From: "91.12.3.4"},
			{Service: "photos", Port: 20003, State: admin.Online, Connections: 5, Members: []admin.Member{
				{Node: id, Name: "shed-pi", Service: "web", State: admin.Online, Clients: 5}, {Node: id, Service: "a-service-with-a-long-name", State: admin.Online, Unhealthy: true},
			}},
			{Node: id, Name: "esc\x1b[2J", Service: "web", Port: 20002, State: admin.SentAway},
		},
	}
	var b strings.Builder
	printStatus(&b, status, now)
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.ContainsRune(line, '\x1b') || strings.HasSuffix(line, " ") {
			t.Errorf("%q", line)
		}
	}
	for _, part := range []string{
		"up 6 d 3 h   tunnel.example.com:8090   3 of 2001 ports in use\n", "mums-nas        files       20001  away\n",
		"shed-pi         ssh         20022  online 2 d  1      14 MB   2.0 MB  91.12.3.4\n", "1200   1.1 GB  31 GB   91.12.3.4\n",
		"a-name-that-i…", "a-service…", "(group)", "  shed-pi  ", "unhealthy", "revoked\n",
	} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %q in\n%s", part, b.String())
		}
	}
	b.Reset()
	printNodes(&b, []admin.Node{{ID: id, State: admin.Online, Since: since(time.Minute)}}, now)
	if !strings.Contains(b.String(), "-     online 1 min  0      "+id.String()+"\n") {
		t.Error(b.String())
	}
}

func TestForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59 * time.Minute: "59 min", 23 * time.Hour: "23 h",
		24 * time.Hour: "1 d", 25 * time.Hour: "1 d 1 h", 400 * 24 * time.Hour: "400 d",
	} {
		if got := forPeople(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949_999: "9.9 MB", 14_200_000: "14 MB", 31e9: "31 GB", 1 << 63: "9223 PB"} {
		if got := bytesForPeople(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

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
