package address

import (
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"example.com": "example.com", "192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1"} {
		if got, err := ParseHost(given); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", given, got, err, want)
		}
	}
	for _, given := range []string{"", "a b", "https://a/", "a:1", "a/b"} {
		if got, err := ParseHost(given); err == nil || !strings.HasSuffix(err.Error(), " is neither a host name nor an IP address") {
			t.Errorf("%s: %s %v, want an error", given, got, err)
		}
	}
}

func TestParseHostHeader(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"nas": "nas", "nas.local": "nas.local", "localhost:5173": "localhost:5173", "192.0.2.1": "192.0.2.1", "[2001:db8::1]:80": "[2001:db8::1]:80", "[::1]": "[::1]", "::1": "[::1]",
	} {
		if got, err := ParseHostHeader(given); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", given, got, err, want)
		}
	}
	for _, given := range []string{"", "a b", "https://a/", "a:http", "a:65536", ":80", "a/b", "a\r\nX: y", "a,b", "a@b", "a%20b"} {
		if got, err := ParseHostHeader(given); err == nil {
			t.Errorf("%q: %q, want an error", given, got)
		}
	}
}

func TestCheckSocket(t *testing.T) {
	t.Parallel()
	for _, given := range []string{":8090", "0.0.0.0:0", "[::1]:65535", "example.com:1", "[fe80::1%eth0]:1"} {
		if err := CheckSocket(given, "want an address"); err != nil {
			t.Errorf("%s: %v", given, err)
		}
	}
	for given, want := range map[string]string{
		"8090":   "8090 is not an address with a port; want an address",
		":http":  "http is not a port from 0 to 65535; want an address",
		":65536": "65536 is not a port from 0 to 65535; want an address",
		"a b:1":  `"a b" is neither a host name nor an IP address; want an address`,
	} {
		if err := CheckSocket(given, "want an address"); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", given, err, want)
		}
	}
}
