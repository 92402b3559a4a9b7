package quicproxy

import (
	"fmt"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
)

// TestAccountsAreForgotten: accounts of nodes that are away are bounded, however many nodes are here, and who left last
// is remembered: to connect anew gives nobody a new burst.
func TestAccountsAreForgotten(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer().server
		id := func(i int) certs.NodeID { return certs.NodeID{byte(i >> 16), byte(i >> 8), byte(i), 31: 1} }
		const here = maxAway + 1000
		for i := range here {
			server.openAccount(id(i))
		}
		spent := server.openAccount(id(1 << 20))
		server.closeAccount(spent)
		for i := range maxAway - 1 {
			server.closeAccount(server.openAccount(id(here + i)))
		}
		if server.openAccount(id(1<<20)) != spent {
			t.Error("a node that was away for a moment has a new account")
		}
		server.closeAccount(spent)
		for i := range 20_000 {
			server.closeAccount(server.openAccount(id(1<<21 + i)))
		}
		if n := len(server.accounts.of); n != here+maxAway {
			t.Errorf("%d accounts, want %d", n, here+maxAway)
		}
		if server.openAccount(id(1<<20)) == spent {
			t.Error("who left first is remembered")
		}
		time.Sleep(accountMemory)
		server.closeAccount(server.openAccount(id(1 << 22)))
		if n := server.accounts.away.Len(); n > 1 {
			t.Errorf("%d accounts of nodes that left long ago", n)
		}
	})
}

// TestGuestsWithManyKeys: who connects to an open server with one key after the other writes no more into its store than
// one guest.
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
