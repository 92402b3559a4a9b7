//go:build linux

package netns

import (
	"testing"
	"time"
)

// everything is all kinds of traffic, on relays that share a connection. Bulk upload is separate: it fills
// the congestion window, which affects the others.
var everything = map[string][]kind{
	"others": {idle, echo, download},
	"upload": {upload},
}

// moves are what can happen to home.
var moves = map[string]func(w *tunnel){
	// The router gives home another address; for a moment home has none.
	"address": func(w *tunnel) {
		u := w.uplinks[0]
		w.home.ip(append([]string{"addr del " + u.address(2) + " dev " + u.device}, u.configure(3)...)...)
	},
	// Another uplink is preferred; the first one still works.
	"route": func(w *tunnel) {
		u := w.uplinks[1]
		w.home.ip("route add default via " + u.gateway() + " dev " + u.device + " metric 50")
	},
	// The first uplink goes away, with its address. The second one carries smaller packets.
	"interface": func(w *tunnel) {
		w.home.ip("link set " + w.uplinks[0].device + " down")
	},
	// The first uplink comes back at once, with another address.
	"flap": func(w *tunnel) {
		u := w.uplinks[0]
		w.home.ip("addr del " + u.address(2) + " dev " + u.device)
		time.Sleep(flap)
		w.home.ip(u.configure(3)...)
	},
}

// flap is how long the first uplink is away before it comes back: long enough for packets over the second
// one, too short for the server to have followed.
const flap = 30 * time.Millisecond

// TestMove changes the way home reaches the internet. As TestRebind it is not beside other tests, since a stall may be short.
func TestMove(t *testing.T) {
	for name, move := range moves {
		for traffic, kinds := range everything {
			t.Run(name+"/"+traffic, func(t *testing.T) {
				t.Parallel()
				w := newTunnel(t)
				relays := w.relays(kinds...)
				survive(t, name, relays, func() { move(w) })
				if (name == "route" || name == "interface") && w.uplinks[1].outsidePort() == "" {
					t.Error("nothing went over the second uplink")
				}
				finish(relays)
				w.checkOneConnection()
			})
		}
	}
}
