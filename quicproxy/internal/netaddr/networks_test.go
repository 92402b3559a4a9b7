package netaddr

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// TestNetworksOf: which networks an address belongs to, and what each may have.
func TestNetworksOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                      "invalid Prefix 1 4",
		"192.0.2.77":            "192.0.2.77/32 1 4, 192.0.2.0/24 4 5",
		"::ffff:192.0.2.77":     "192.0.2.77/32 1 4, 192.0.2.0/24 4 5",
		"2001:db8:1:2345::9%e0": "2001:db8:1:2345::/64 1 2, 2001:db8:1:2300::/56 2 3, 2001:db8:1::/48 4 4",
	} {
		parsed, _ := netip.ParseAddr(address)
		got := ""
		for i, n := range Networks(parsed) {
			if i > 0 {
				got += ", "
			}
			got += fmt.Sprint(n.Prefix, " ", n.Weight, " ", n.Part)
			if n.Weight > MaxWeight {
				t.Errorf("%v of %q has more than MaxWeight", n, address)
			}
		}
		if got != want {
			t.Errorf("%q has the networks %s, want %s", address, got, want)
		}
		if smallest := Smallest(parsed); smallest != Networks(parsed)[0].Prefix {
			t.Errorf("the smallest of %q is %v", address, smallest)
		}
	}
}

// TestEndpoint: an address has one form, whatever socket it comes from, and none that is not of UDP or TCP.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	want := netip.MustParseAddrPort("192.0.2.1:7")
	ip := net.IPv4(192, 0, 2, 1) // 16 bytes, as from a socket of both families
	for _, address := range []net.Addr{
		&net.UDPAddr{IP: ip, Port: 7}, &net.UDPAddr{IP: ip.To4(), Port: 7}, &net.TCPAddr{IP: ip, Port: 7},
	} {
		if got := Endpoint(address); got != want {
			t.Errorf("%v is %v", address, got)
		}
	}
	if got := Endpoint(&net.UnixAddr{Name: "x"}); got.IsValid() {
		t.Errorf("a Unix socket has the address %v", got)
	}
}

// TestCustomer: neighbours within a /48 are one customer, IPv4 addresses are each their own.
func TestCustomer(t *testing.T) {
	t.Parallel()
	var got []string
	for _, address := range []string{"192.0.2.1", "2001:db8:1:2345::9", "2001:db8:1:ffff::1"} {
		got = append(got, Customer(netip.MustParseAddr(address)).String())
	}
	if want := []string{"192.0.2.1", "2001:db8:1::", "2001:db8:1::"}; !slices.Equal(got, want) {
		t.Errorf("customers are %v, want %v", got, want)
	}
}
