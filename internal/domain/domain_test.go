package domain_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"apquic/internal/domain"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for _, name := range []string{"example.org", "a.b", "*.example.org", "photos.home.example.org", "xn--mnchen-3ya.example", "1.example", long + ".org", "a--b.c"} {
		if err := domain.Check(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, part := range map[string]string{
		"": "missing", "localhost": "two parts", "*.org": "two parts", "*": "two parts", "192.0.2.1": "IP address", "::1": "IP address", "[2001:db8::1]": "IP address",
		"*.192.0.2.1": "IP address", "0x7f.1": "IP address", "Example.org": "not a domain", "example.org.": "part \"\"", "a..b": "part \"\"", ".a.b": "part \"\"",
		"-a.org": "not a domain", "a-.org": "not a domain", "a_b.org": "not a domain", "a.*.org": "not a domain", "**.example.org": "not a domain", "münchen.example": "not a domain",
		long + "a.org": "not a domain", "http://example.org": "not a domain", "example.org:443": "not a domain", "a b.org": "not a domain", "a\x00.org": "not a domain",
		strings.Repeat("a.", 127) + "aa": "at most",
	} {
		if err := domain.Check(name); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v, want %q", name, err, part)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Example.ORG": "example.org", "example.org.": "example.org", "*.Example.org": "*.example.org", "München.example": "xn--mnchen-3ya.example",
		"*.bücher.example": "*.xn--bcher-kva.example", "faß.example": "xn--fa-hia.example", "例え.example": "xn--r8jz45g.example",
	} {
		if got, err := domain.Parse(text); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "*.", "192.0.2.1", "192.0.2.1.", "１９２.0.2.1", "a b.org", "xn--a.example", "a_b.example", "example.org:80", "http://example.org/"} {
		if got, err := domain.Parse(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		domain, name string
		covers       bool
	}{
		{"a.example.org", "a.example.org", true}, {"*.example.org", "a.example.org", true}, {"*.example.org", "b.a.example.org", false},
		{"*.example.org", "example.org", false}, {"*.org", "example.org", false}, {"a.example.org", "b.example.org", false}, {"*.example.org", "", false},
	} {
		if domain.Covers(test.domain, test.name) != test.covers {
			t.Errorf("%q covers %q: want %v", test.domain, test.name, test.covers)
		}
	}
}

// TestVectors: Check decides as docs/protocol.md says.
func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../framing/testdata/vectors/domains.txt")
	if err != nil {
		t.Fatal(err)
	}
	vectors := regexp.MustCompile(`domain = "(.*)"\nvalid = (yes|no)`).FindAllStringSubmatch(string(text), -1)
	if len(vectors) != strings.Count(string(text), "domain = ") || len(vectors) < 20 {
		t.Errorf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		if err := domain.Check(v[1]); (err == nil) != (v[2] == "yes") {
			t.Errorf("%q: %v", v[1], err)
		}
	}
}

// FuzzParse: whatever is accepted has the one form, and parses as itself.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"example.org", "*.Example.ORG.", "münchen.example", "xn--mnchen-3ya.example", "192.0.2.1", "*.*.a", "a\u3002b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := domain.Parse(s)
		if err != nil {
			return
		}
		if err := domain.Check(name); err != nil {
			t.Errorf("%q became %q: %v", s, name, err)
		}
		if again, err := domain.Parse(name); again != name || err != nil {
			t.Errorf("%q became %q, and that %q, %v", s, name, again, err)
		}
	})
}
