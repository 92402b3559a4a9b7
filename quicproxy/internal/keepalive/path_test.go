package keepalive

import (
	"net/netip"
	"strings"
	"testing"
)

// TestNetwork: which networks are the same.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for observed, want := range map[string]string{
		"192.0.2.1:1":          "192.0.2.1 192.168.1.2",
		"[::ffff:192.0.2.1]:2": "192.0.2.1 192.168.1.2",
		"[2001:db8::1]:1":      "2001:db8:: 192.168.1.2",
		"[2001:db8::1%" + strings.Repeat("z", 99) + "]:1": "2001:db8:: 192.168.1.2",
		"":          "",
		"192.0.2.1": "",
		"x:1":       "",
	} {
		if got := NewPath(observed, inside, 0).network; got != want {
			t.Errorf("%q: %q, want %q", observed, got, want)
		}
	}
}

// TestPath: which paths are the same.
func TestPath(t *testing.T) {
	t.Parallel()
	here := NewPath("192.0.2.1:1", inside, 0)
	if here != NewPath("[::ffff:192.0.2.1]:1", inside, 0) {
		t.Error("an address of IPv4 in the form of IPv6 is another path")
	}
	for name, other := range map[string]Path{
		"another port":    NewPath("192.0.2.1:2", inside, 0),
		"another address": NewPath("192.0.2.2:1", inside, 0),
		"another source":  NewPath("192.0.2.1:1", netip.MustParseAddr("192.168.1.3"), 0),
		"another socket":  NewPath("192.0.2.1:1", inside, 1),
		"an unknown one":  NewPath("", inside, 0),
	} {
		if here == other {
			t.Errorf("%s is the same path", name)
		}
	}
}
