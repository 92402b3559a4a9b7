package framing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestOriginVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "origins.txt") {
		origin := v.text(t, "origin")
		network, address, err := ParseOrigin(origin)
		if v["valid"] == "no" {
			if err == nil {
				t.Errorf("%q: accepted as %s %q", origin, network, address)
			} else if len(err.Error()) > 500 || !strings.Contains(err.Error(), "service address") {
				t.Errorf("%q: the error is %q", origin, err)
			}
			continue
		}
		if err != nil || network != v.text(t, "network") || address != v.text(t, "address") {
			t.Errorf("%q: %s %q %v", origin, network, address, err)
			continue
		}
		uri := FormatOrigin(network, address)
		if uri != v.text(t, "uri") {
			t.Errorf("%q: URI %q", origin, uri)
		}
		if n, a, err := ParseOrigin(uri); err != nil || n != network || a != address {
			t.Errorf("%q: the URI %q reads as %s %q %v", origin, uri, n, a, err)
		}
	}
}

// TestParseOriginRefusesOtherEncodings: a vector file, which is UTF-8, cannot hold these.
func TestParseOriginRefusesOtherEncodings(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"h\xff:80", "unix:/\xff"} {
		if network, address, err := ParseOrigin(origin); err == nil {
			t.Errorf("%q: accepted as %s %q", origin, network, address)
		}
	}
}

func TestServiceNameVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "service-names.txt") {
		name := v.text(t, "service")
		if err := CheckServiceName(name); (err == nil) != (v.text(t, "valid") == "yes") {
			t.Errorf("%q: %v, want valid = %s", name, err, v["valid"])
		}
	}
}

// TestServiceNames: all names, or none if they would not fit.
func TestServiceNames(t *testing.T) {
	t.Parallel()
	if got := ServiceNames("web", []string{"ssh", "web", "dns"}); !slices.Equal(got, []string{"web", "ssh", "dns"}) {
		t.Errorf("%q", got)
	}
	many := make([]string, MaxServiceNames)
	for i := range many {
		many[i] = fmt.Sprint("s", i)
	}
	if got := ServiceNames("s0", many); len(got) != len(many) {
		t.Errorf("%d names", len(got))
	}
	if got := ServiceNames("web", many); got != nil {
		t.Errorf("%d names", len(got))
	}
	for i := range many {
		many[i] = strings.Repeat("x", 40) + fmt.Sprint(i)
	}
	if got := ServiceNames("web", many[:1000]); got != nil {
		t.Errorf("%d long names", len(got))
	}
}
