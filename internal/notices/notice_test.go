package notices

import (
	"strings"
	"testing"

	"apquic/internal/hint"
)

// TestCheck: what is wrong with a notice is said, with what to do.
func TestCheck(t *testing.T) {
	t.Parallel()
	with := func(change func(*Notice)) Notice {
		n := some("node-away")
		change(&n)
		return n
	}
	for want, n := range map[string]Notice{
		"no events":                         with(func(n *Notice) { n.Events = nil }),
		"did you mean node-away?":           with(func(n *Notice) { n.Events = []string{"node-awya"} }),
		"cannot be told by a notice":        with(func(n *Notice) { n.Events = []string{failed} }),
		"only one of them":                  with(func(n *Notice) { n.Command = []string{"/bin/true"} }),
		"a url, a urlFile or a command":     with(func(n *Notice) { n.URL = "" }),
		"after is 1ms":                      with(func(n *Notice) { n.After = 1e6 }),
		"perHour is 0":                      with(func(n *Notice) { n.PerHour = 0 }),
		"perHour is 601":                    with(func(n *Notice) { n.PerHour = 601 }),
		"no absolute path":                  with(func(n *Notice) { n.URL, n.Command = "", []string{"notify"} }),
		"are for a url":                     with(func(n *Notice) { n.URL, n.Command, n.Body = "", []string{"/bin/true"}, "x" }),
		"33 arguments":                      with(func(n *Notice) { n.URL, n.Command = "", append([]string{"/bin/true"}, make([]string, 32)...) }),
		"the url is none":                   with(func(n *Notice) { n.URL = "ftp://example.org" }),
		"{text} in the url is none of {id}": with(func(n *Notice) { n.URL = "https://example.org/{text}" }),
		"{txet} in the body":                with(func(n *Notice) { n.Body = "{txet}" }),
		"header Host":                       with(func(n *Notice) { n.Headers = map[string]string{"Host": "a"} }),
		"no name such as":                   with(func(n *Notice) { n.Headers = map[string]string{"A:": "a"} }),
		"has control characters":            with(func(n *Notice) { n.Headers = map[string]string{"A": "a\r\nB: b"} }),
		"the body has 5000 bytes":           with(func(n *Notice) { n.Body = strings.Repeat("x", 5000) }),
	} {
		err := n.Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if all := Check([]Notice{some("join"), n}); all == nil || !strings.HasPrefix(all.Error(), "notices[1]: ") || hint.Of(all) != hint.Of(err) {
			t.Errorf("%v", all)
		}
	}
	for _, n := range []Notice{
		some("node-away", "log"), with(func(n *Notice) { n.Body, n.JSON = `{"a":{"b":"{text} {attributes.err}"}}`, true }),
		with(func(n *Notice) { n.URL, n.Command = "", []string{"/bin/true"} }),
	} {
		if err := n.Check(); err != nil {
			t.Error(err)
		}
	}
	if err := Check(make([]Notice, 17)); err == nil || !strings.Contains(err.Error(), "17 notices") {
		t.Errorf("%v", err)
	}
}
