package server

import (
	"strconv"
	"strings"
	"testing"

	"apquic/framing"
)

// TestServiceNamesAreBounded: what a node says of its other services.
func TestServiceNamesAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		services []string
		ok       bool
	}{
		"none":      {nil, true},
		"itself":    {[]string{"s0"}, true},
		"most":      {many(framing.MaxServiceNames), true},
		"too many":  {many(framing.MaxServiceNames + 1), false},
		"bad name":  {[]string{"s0", "S1"}, false},
		"no name":   {[]string{"s0", ""}, false},
		"others":    {[]string{"s1"}, false},
		"long name": {[]string{"s0", strings.Repeat("x", 65)}, false},
	} {
		if err := checkServices(&framing.ProxyRequest{Service: "s0", Services: test.services}); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// many are the names of n services.
func many(n int) (names []string) {
	for i := range n {
		names = append(names, "s"+strconv.Itoa(i))
	}
	return names
}
