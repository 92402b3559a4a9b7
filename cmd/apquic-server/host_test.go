package main

import (
	"net/netip"
	"testing"

	"apquic/internal/settings"
)

func TestRank(t *testing.T) {
	t.Parallel()
	// Better ones first; those in the last line suit no invitation.
	order := [][]string{
		{"203.0.113.5"},
		{"2001:db8::5"},
		{"192.168.1.5", "10.0.0.5", "100.64.0.5"},
		{"fd00::5"},
		{"127.0.0.1", "::1", "169.254.1.5", "fe80::5", "0.0.0.0", "224.0.0.1"},
	}
	both := settings.Server{IPv4: true, IPv6: true}
	for i, line := range order {
		for _, address := range line {
			if got, want := rank(both, netip.MustParseAddr(address)), len(order)-1-i; got != want {
				t.Errorf("rank(%s) = %d, want %d", address, got, want)
			}
		}
	}
	if got := rank(settings.Server{IPv6: true}, netip.MustParseAddr("203.0.113.5")); got != 0 {
		t.Errorf("an IPv4 address has rank %d without IPv4", got)
	}
	if got := rank(settings.Server{IPv4: true}, netip.MustParseAddr("2001:db8::5")); got != 0 {
		t.Errorf("an IPv6 address has rank %d without IPv6", got)
	}
	if got := rank(both, netip.Addr{}); got != 0 {
		t.Errorf("no address has rank %d", got)
	}
}

func TestPublicHost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ listen, given, want string }{
		{":8090", "tunnel.example.com", "tunnel.example.com"},
		{"203.0.113.5:8090", "tunnel.example.com", "tunnel.example.com"},
		{"203.0.113.5:8090", "", "203.0.113.5"},
		{"[2001:db8::5]:8090", "", "2001:db8::5"},
		{"localhost:8090", "", "localhost"},
	} {
		config := settings.Server{Listen: test.listen, PublicHost: test.given, IPv4: true, IPv6: true}
		if got := publicHost(config); got != test.want {
			t.Errorf("listening on %s with public host %q: %s, want %s", test.listen, test.given, got, test.want)
		}
	}
	// On all addresses: whichever this machine has, but never one that only the machine itself can reach.
	for _, listen := range []string{":8090", "0.0.0.0:8090", "[::]:8090"} {
		host := publicHost(settings.Server{Listen: listen, IPv4: true, IPv6: true})
		ip, err := netip.ParseAddr(host)
		if host != "localhost" && (err != nil || !ip.IsGlobalUnicast()) {
			t.Errorf("listening on %s: %s", listen, host)
		}
	}
}
