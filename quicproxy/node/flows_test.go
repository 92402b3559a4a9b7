package node

import (
	"testing"

	"apquic/certs"
	"apquic/internal/machine"
	"apquic/quicproxy/internal/clients"
)

// TestPlacesOfRelays: a node without services over UDP has all sockets for relays.
func TestPlacesOfRelays(t *testing.T) {
	t.Parallel()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	free := func(address string) (n int) {
		node, err := New(Config{Key: key, Server: key.ID(), Address: "192.0.2.1:443", Services: []Service{{Name: "s", Upstream: address}}, Memory: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		for node.costs.Clients.Reserve(1) {
			n++
		}
		return n
	}
	all := clients.New(machine.Sockets(), 1, 1).MayReserve()
	if n := free("tcp://127.0.0.1:80"); n != all {
		t.Errorf("%d of %d sockets without UDP", n, all)
	}
	if n, flows := free("udp://127.0.0.1:80"), min(machine.Sockets()/flowsShare, 16<<20/flowsShare/flowCost); n != all-flows {
		t.Errorf("%d of %d sockets with UDP, of which flows have %d", n, all, flows)
	}
}
