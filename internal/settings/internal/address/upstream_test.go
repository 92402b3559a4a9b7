package address

import (
	"strings"
	"testing"
)

func TestUpstreamForms(t *testing.T) {
	t.Parallel()
	for given, meant := range map[string]string{
		":8000":                     "127.0.0.1:8000",
		"http://127.0.0.1:8000/app": "http://127.0.0.1:8000",
		"https://nas.lan/?a=b":      "https://nas.lan",
		"HTTP://[::1]":              "http://[::1]",
		"ssh://nas":                 "nas:22",
		"/srv/www":                  "file:/srv/www",
		"127.0.0.1":                 "127.0.0.1:80",
		"[::1]":                     "[::1]:80",
		"::1":                       "[::1]:80",
		"::1:8000":                  "[::1]:8000",
		"web:127.0.0.1:80":          "web=127.0.0.1:80",
	} {
		_, err := ParseUpstream(given)
		if err == nil || !strings.HasSuffix(err.Error(), "did you mean "+meant+"?") {
			t.Errorf("%s: %v, want a hint at %s", given, err, meant)
		}
	}
	for given, want := range map[string]string{
		"http://127.0.0.1:8000/": "http://127.0.0.1:8000",
		"https://nas.lan":        "https://nas.lan:443",
		"file:///srv/www":        "file:/srv/www",
	} {
		if s, err := ParseUpstream(given); err != nil || s != want {
			t.Errorf("%s: %s %v, want %s", given, s, err, want)
		}
	}
	for _, given := range []string{"udp://127.0.0.1:53", "tcp+udp://nas.lan:53"} {
		if s, err := ParseUpstream(given); err != nil || s != given {
			t.Errorf("%s: %s, %v", given, s, err)
		}
	}
	for _, given := range []string{"nonsense", "UDP://x", "UDP://x:53", "udp://127.0.0.1", "http://", "http://host:x", "web:", "ftp://host", "1.2.3", ":0", "::::"} {
		if _, err := ParseUpstream(given); err == nil || strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: %v, want an error without a guess", given, err)
		}
	}
}
