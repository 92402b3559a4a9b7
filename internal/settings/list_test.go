package settings

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestNetworks(t *testing.T) {
	t.Parallel()
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}
	s := DefaultServer()
	err := ParseServer("s", []byte(`{"proxyProtocolFrom": ["192.0.2.0/24", "2001:db8::1"]}`), &s)
	if err != nil || !reflect.DeepEqual(s.ProxyProtocolFrom, want) {
		t.Errorf("%v %v, want %v", s.ProxyProtocolFrom, err, want)
	}
	if got, err := networks().parseAll("192.0.2.0/24, 2001:db8::1"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
	if got := networks().format(want); got != "192.0.2.0/24,2001:db8::1/128" {
		t.Error(got)
	}
	if err := ParseServer("s", []byte(`{"proxyProtocolFrom": "10.0.0.1"}`), &s); err != nil || s.ProxyProtocolFrom[0].String() != "10.0.0.1/32" {
		t.Errorf("%v %v", s.ProxyProtocolFrom, err)
	}
	for text, want := range map[string]string{
		`["192.0.2.1/24"]`:         "s:1: proxyProtocolFrom[0]: 192.0.2.1/24 is an address in a network, did you mean 192.0.2.0/24?",
		`["::/0", "lan"]`:          "s:1: proxyProtocolFrom[1]: lan is not a network; want networks such as",
		`["::ffff:192.0.2.0/120"]`: "s:1: proxyProtocolFrom[0]: an IPv4 network is written without ::ffff: before it",
		`["fe80::1%eth0"]`:         "s:1: proxyProtocolFrom[0]: fe80::1%eth0 is not a network",
		`[true]`:                   "s:1: proxyProtocolFrom[0]: this is true; want networks such as",
		`true`:                     "s:1: proxyProtocolFrom: this is true; want a list of networks such as",
	} {
		if err := ParseServer("s", []byte(`{"proxyProtocolFrom": `+text+`}`), &s); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
