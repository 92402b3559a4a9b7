package quicproxy_test

import (
	"fmt"
	"testing"
	"time"

	"apquic/framing"
)

// TestGuestsWithManyKeys: a client that connects to an open server with one key after the other causes no
// more writes to its store than one guest.
func TestGuestsWithManyKeys(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(true), func(c *ServerConfig) { c.MaxLeasesPerAddress = 4 })
		begin, writes := time.Now(), 0
		for range 40 {
			w.nodeKey = newKey(t)
			a := newAsker(w, &framing.Hello{Instance: 1})
			for i := range 4 {
				service := fmt.Sprint("s", i)
				if a.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: service}) == framing.OpProxyResponse {
					writes++
					if a.request(framing.OpRelease, &framing.Release{Service: service}) == framing.OpReleased {
						writes++
					}
				}
			}
			a.conn.CloseWithError(0, "")
		}
		if most := 32 + int(time.Since(begin)/time.Second); writes > most {
			t.Errorf("%d writes in %v, want %d at most", writes, time.Since(begin), most)
		}
		known := newKey(t)
		g.write(known.ID().String() + " mine")
		w.startNode(expose("web", web), with(known, nil)).leases.wait(t, 1)
		if took := server.server.Status().Leases; len(took) == 0 {
			t.Error("a known node has none")
		}
	})
}
