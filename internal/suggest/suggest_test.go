package suggest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"listen", "park", "port", "ipv4", "ipv6", "publicHost"}
	for word, want := range map[string]string{
		"LISTEN": "listen", "litsen": "listen", "ports": "port", "part": "park", "ipv5": "ipv4",
		"public_host": "publicHost", "publicHostName": "", "x": "", "": "", strings.Repeat("x", 1<<20): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
}
