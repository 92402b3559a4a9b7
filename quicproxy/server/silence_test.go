package server

import (
	"net"
	"testing"
	"time"

	"apquic/certs"
	"apquic/lease"
)

// TestSilenceOfOneNode: a node that goes silent costs the server no look at the ports of others.
func TestSilenceOfOneNode(t *testing.T) {
	t.Parallel()
	server := newTestServer(t)
	leases := make([]lease.Lease, 3)
	for i := range leases {
		leases[i] = lease.Lease{Key: lease.Key{Node: certs.NodeID{byte(i + 1)}, Service: "web"}, Port: uint16(20000 + i)}
		if err := server.Bind(leases[i]); err != nil {
			t.Fatal(err)
		}
	}
	silent := &nodeConn{server: server, node: leases[0].Node, log: server.log}
	own, other := server.publicListener(20000), server.publicListener(20001)
	own.attach(silent, false)
	visitor, far := net.Pipe()
	defer visitor.Close()
	defer far.Close()
	own.mu.Lock()
	waits, err := own.parking.enterLocked(&publicClient{Conn: visitor}, time.Now().Add(time.Minute))
	own.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	other.mu.Lock() // whoever looks at it waits
	told := make(chan struct{})
	go func() {
		server.tellSilence(silent, true)
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("the port of another node was looked at")
	}
	other.mu.Unlock()
	<-told
	select {
	case <-waits.woken:
	default:
		t.Error("its own clients were not told")
	}
	own.mu.Lock()
	own.parking.leaveLocked(waits)
	own.mu.Unlock()
	for _, l := range leases {
		server.Unbind(l)
	}
	if n := len(server.public) + len(server.publicOf); n != 0 {
		t.Errorf("%d ports or nodes are left", n)
	}
	server.listeners.Wait()
}
