//go:build linux

package netns

import "testing"

// rebindings is how often the NAT forgets: connection IDs must not run out.
const rebindings = 4

// TestRebind makes the NAT forget its mappings and choose other ports.
func TestRebind(t *testing.T) {
	for _, k := range []kind{idle, echo, download, upload} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			w := newTunnel(t)
			relays := w.relays(k)
			for range rebindings {
				before := w.uplinks[0].outsidePort()
				survive(t, "rebind", relays, w.uplinks[0].forget)
				if after := w.uplinks[0].outsidePort(); after == before || after == "" || before == "" {
					t.Fatalf("the server saw the node at port %q and then at %q", before, after)
				}
			}
			finish(relays)
			w.checkOneConnection()
		})
	}
}
