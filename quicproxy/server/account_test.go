package server

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
)

// TestAccountsAreForgotten: accounts of nodes that are away are bounded, however many nodes are here, and who left last
// is remembered: to connect anew gives nobody a new burst.
func TestAccountsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newTestServer(t)
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

// newTestServer is a server that does not run.
func newTestServer(t *testing.T) *Server {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	server, err := New(Config{
		Key: key, PacketConn: socket,
		ListenPublic: func(uint16) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}
