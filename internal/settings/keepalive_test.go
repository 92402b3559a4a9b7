package settings

import (
	"regexp"
	"testing"
	"time"

	"apquic/internal/settings/internal/interval"
)

func TestKeepalive(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"auto": AutoKeepalive, "15s": 15 * time.Second, "2m": 2 * time.Minute} {
		if got, err := interval.ParseOrAuto(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if got := interval.FormatOrAuto(want); got != text {
			t.Errorf("%v is %s, want %s", want, got, text)
		}
		n := validNode(t)
		if err := ParseNode("n", []byte(`{"keepalive": "`+text+`", "idleTimeout": "10m"}`), &n); err != nil || n.Keepalive != want || n.Validate() != nil {
			t.Errorf("%s in a file: %v, %v, %v", text, n.Keepalive, err, n.Validate())
		}
		if !regexp.MustCompile(`(?m)^keepalive +` + text + `( |$)`).MatchString(n.Describe()) {
			t.Errorf("%s is described as\n%s", text, n.Describe())
		}
	}
	for _, text := range []string{"", "15", "Auto", "-1ns", "never"} {
		if got, err := interval.ParseOrAuto(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	n := validNode(t)
	wantMistakes(t, ParseNode("n", []byte(`{"keepalive": "-1ns"}`), &n), []string{"n:1: keepalive: -1ns is negative; want \"auto\""})
	wantMistakes(t, ParseNode("n", []byte(`{"keepalive": "automatic"}`), &n), []string{"n:1: keepalive: automatic is not a duration; want \"auto\""})
	// It keeps below any idle timeout by itself.
	n.Keepalive, n.IdleTimeout = AutoKeepalive, 5*time.Second
	if err := n.Validate(); err != nil {
		t.Error(err)
	}
}
