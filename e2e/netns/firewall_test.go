//go:build linux

package netns

import (
	"strings"
	"testing"
)

// TestFirewallInFrontOfServer: the node is connected, and its owner sees why there are no visitors: the
// server's firewall drops, or refuses, what comes to the leased ports.
func TestFirewallInFrontOfServer(t *testing.T) {
	t.Parallel()
	w := newTunnel(t)
	_, port, _ := strings.Cut(w.address, ":")
	for _, test := range []struct{ verdict, want string }{
		{"", "  reachable\n"},
		{"drop", "  no answer: does a firewall in front of the server let TCP " + port + " in?\n"},
		{"reject with tcp reset", "  refused\n"},
	} {
		if test.verdict != "" {
			w.public.run("table ip firewall {\nchain input {\ntype filter hook input priority 0\ntcp dport 20000-20009 "+test.verdict+"\n}\n}\n", "nft", "-f", "-")
		}
		if got := w.home.run("", program("apquic-node"), "status", "--dial", "--data-dir", w.nodeData); !strings.Contains(got, test.want) || !strings.HasPrefix(got, "connected to ") {
			t.Errorf("with %q the status is\n%s", test.verdict, got)
		}
		if test.verdict != "" {
			w.public.run("delete table ip firewall\n", "nft", "-f", "-")
		}
	}
}
