// Package domain is about the names that a service can have instead of a port: their one form, and which
// names a wildcard stands for.
//
// It must not look anything up, or decide who may have a name.
package domain

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

const (
	// maxName and maxLabel are the limits of DNS, in bytes (RFC 1035 section 2.3.4).
	maxName, maxLabel = 253, 63
	// wildcard begins a name that stands for all names with one more label.
	wildcard = "*."
)

// Check returns why name is not a domain in its one form: a name of at least two labels, lower case, ASCII,
// without a dot at its end; or such a name after "*.".
func Check(name string) error {
	rest := strings.TrimPrefix(name, wildcard)
	labels := strings.Split(rest, ".")
	switch {
	case name == "":
		return errors.New("a domain is missing")
	case len(name) > maxName:
		return fmt.Errorf("a domain has at most %d bytes, not %d", maxName, len(name))
	case isAddress(rest):
		return fmt.Errorf("%.80q is an IP address, not a domain: names such as www.example.org are leased, addresses are not", name)
	case len(labels) < 2:
		return fmt.Errorf("%.80q is not a domain: want at least two parts, such as www.example.org", name)
	}
	for _, label := range labels {
		if !isLabel(label) {
			return fmt.Errorf("%.80q is not a domain such as www.example.org or *.example.org: its part %.70q should be 1 to %d of a-z 0-9 -, with no - at its ends",
				name, label, maxLabel)
		}
	}
	return nil
}

// isAddress reports whether s is an IP address, or what some programs take for one: its last part is a number.
func isAddress(s string) bool {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	last := s[strings.LastIndexByte(s, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

func isLabel(s string) bool {
	other := func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-') }
	return len(s) > 0 && len(s) <= maxLabel && s[0] != '-' && s[len(s)-1] != '-' && !strings.ContainsFunc(s, other)
}

// Parse returns the one form of a domain as a person writes it: with capitals, a dot at its end, or letters of
// other alphabets, which become ASCII (IDNA, RFC 5891).
func Parse(s string) (string, error) {
	rest, wild := strings.CutPrefix(strings.TrimSuffix(s, "."), wildcard)
	name, wrong := idna.Lookup.ToASCII(rest)
	if wrong == nil { // letters that were not UTF-8 become what is no name
		name, wrong = idna.Lookup.ToASCII(name)
	}
	if wrong != nil {
		name = strings.ToLower(rest) // Check may have the better explanation
	}
	if wild {
		name = wildcard + name
	}
	if err := Check(name); err != nil {
		return "", err
	}
	if wrong != nil {
		return "", fmt.Errorf("%.80q is not a domain: %w", s, wrong)
	}
	return name, nil
}

// IsWildcard reports whether a domain stands for several names.
func IsWildcard(name string) bool { return strings.HasPrefix(name, wildcard) }

// Wildcard returns the domain that stands for a name and its neighbours, as in certificates (RFC 6125): that
// of a.example.org is *.example.org. ok: there may be one.
func Wildcard(name string) (domain string, ok bool) {
	_, rest, found := strings.Cut(name, ".")
	if !found || !strings.Contains(rest, ".") {
		return "", false
	}
	return wildcard + rest, true
}

// Covers reports whether a domain stands for a name: it is the name, or its wildcard.
func Covers(domain, name string) bool {
	if domain == name {
		return true
	}
	wild, ok := Wildcard(name)
	return ok && wild == domain
}
