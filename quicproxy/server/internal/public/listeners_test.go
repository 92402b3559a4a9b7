package public

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/server/internal/members"
)

// silentTarget is a connection of a node that does not answer.
type silentTarget struct{}

func (*silentTarget) Silent() bool                       { return true }
func (*silentTarget) Relay(*Listener, *Client) error     { return ErrConnectionEnded }
func (*silentTarget) FlowSender() (*flow.Sender, uint64) { return nil, 0 }
func (*silentTarget) Ask(context.Context, string) error  { return ErrConnectionEnded }

// TestSilenceOfOneNode: a node that goes silent does not make the server check the ports of others.
func TestSilenceOfOneNode(t *testing.T) {
	t.Parallel()
	listeners := New(Config{
		Listen: func(uint16) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
		Ended:  func(uint16) {}, Park: time.Minute, Clients: clients.New(100, 100, 100), Log: slog.New(slog.DiscardHandler),
	})
	leases := make([]lease.Lease, 3)
	for i := range leases {
		leases[i] = lease.Lease{Key: lease.Key{Node: certs.NodeID{byte(i + 1)}, Service: "web"}, Port: uint16(20000 + i)}
		if err := listeners.Bind(leases[i]); err != nil {
			t.Fatal(err)
		}
	}
	silent := new(silentTarget)
	own, other := listeners.At(lease.Endpoint{Port: 20000}), listeners.At(lease.Endpoint{Port: 20001})
	own.Attach(silent, members.Offer{Node: leases[0].Node})
	visitor, far := net.Pipe()
	defer visitor.Close()
	defer far.Close()
	own.mu.Lock()
	waits, err := own.parking.enterLocked(&Client{Conn: visitor}, time.Now().Add(time.Minute))
	own.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	other.mu.Lock() // whoever looks at it waits
	told := make(chan struct{})
	go func() {
		listeners.OwnerChanged(leases[0].Node, silent)
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("the port of another node was looked at")
	}
	other.mu.Unlock()
	<-told
	woken := make(chan struct{})
	go func() {
		waits.Wait(false)
		close(woken)
	}()
	select {
	case <-woken:
	case <-time.After(10 * time.Second):
		t.Error("its own clients were not told")
		waits.Wake()
	}
	<-woken
	own.mu.Lock()
	own.parking.leaveLocked(waits)
	own.mu.Unlock()
	for _, l := range leases {
		listeners.Unbind(l)
	}
	if n := len(listeners.at) + len(listeners.byNode); n != 0 {
		t.Errorf("%d ports or nodes are left", n)
	}
	listeners.Stop()
}
