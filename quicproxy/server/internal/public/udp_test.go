package public

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/flowlimit"
	"apquic/quicproxy/server/internal/members"
)

// forgedSocket is a UDP socket to which anybody can send from any address.
type forgedSocket struct {
	net.PacketConn
	come     chan netip.AddrPort
	deadline chan time.Time
	timer    <-chan time.Time // the reader's
	gone     chan struct{}
	close    func()

	mu      sync.Mutex
	answers map[netip.AddrPort]int
}

func newForgedSocket() *forgedSocket {
	s := &forgedSocket{
		come: make(chan netip.AddrPort), deadline: make(chan time.Time, 100), gone: make(chan struct{}), answers: make(map[netip.AddrPort]int),
	}
	s.close = sync.OnceFunc(func() { close(s.gone) })
	return s
}

func (s *forgedSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		select {
		case from := <-s.come:
			return copy(b, "x"), net.UDPAddrFromAddrPort(from), nil
		case at := <-s.deadline:
			s.timer = nil
			if !at.IsZero() {
				s.timer = time.After(time.Until(at))
			}
		case <-s.timer:
			return 0, nil, os.ErrDeadlineExceeded
		case <-s.gone:
			return 0, nil, net.ErrClosed
		}
	}
}

func (s *forgedSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[to.(*net.UDPAddr).AddrPort()]++
	return len(b), nil
}

func (s *forgedSocket) SetReadDeadline(t time.Time) error { s.deadline <- t; return nil }
func (s *forgedSocket) LocalAddr() net.Addr               { return &net.UDPAddr{Port: 20000} }
func (s *forgedSocket) Close() error                      { s.close(); return nil }

// overUDP are Listeners of services over UDP alone.
func overUDP(listen func(port uint16) (net.PacketConn, error), places *flowlimit.Places, counters *flow.Counters) *Listeners {
	return New(Config{
		ListenPacket: listen, Ended: func(uint16) {}, Clients: clients.New(100, 100, 100), Log: slog.New(slog.DiscardHandler),
		Flows: places, FlowIdle: time.Minute, Datagrams: counters,
	})
}

// hundred are places for 100 flows, whoever has them.
func hundred() *flowlimit.Places {
	return flowlimit.New(flowlimit.Limits{All: 100, Node: 100, Service: 100, Address: 100})
}

// TestForgedClients: a flood from forged addresses costs no more than the flows of a service, takes no place
// from the few that the service has answered, or from other services, and leaves nothing.
func TestForgedClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 100
		sockets := map[uint16]*forgedSocket{20000: newForgedSocket(), 20001: newForgedSocket()}
		counters, places := new(flow.Counters), flowlimit.New(flowlimit.Limits{All: 4 * most, Node: 2 * most, Service: most, Address: most})
		listeners := overUDP(func(port uint16) (net.PacketConn, error) { return sockets[port], nil }, places, counters)
		node := certs.NodeID{1}
		for port, name := range map[uint16]string{20000: "game", 20001: "dns"} {
			if err := listeners.Bind(lease.Lease{Key: lease.Key{Node: node, Service: name}, Port: port, Transport: lease.UDP}); err != nil {
				t.Fatal(err)
			}
			listeners.At(lease.Endpoint{Port: port}).Attach(new(silentTarget), members.Offer{Node: node, Service: name})
		}
		send := func(port uint16, from netip.AddrPort) {
			sockets[port].come <- from
			synctest.Wait()
		}
		answer := func(number uint64) {
			if !listeners.Receive(node, 7, framing.Datagram{Flow: number, Payload: []byte("y")}) {
				t.Fatalf("no flow %d", number)
			}
		}
		friend, other := netip.MustParseAddrPort("192.0.2.1:7"), netip.MustParseAddrPort("192.0.2.2:7")
		send(20000, friend)
		send(20001, other)
		answer(1)
		answer(2)
		for i := range uint32(5000) {
			var address [4]byte
			binary.BigEndian.PutUint32(address[:], 11<<24|i*257)
			send(20000, netip.AddrPortFrom(netip.AddrFrom4(address), 53))
		}
		if n := listeners.flows.Len(); n > most+1 || n < most/2 || places.Open() != n {
			t.Errorf("%d flows with %d places, of %d", n, places.Open(), most)
		}
		answer(1)
		answer(2)
		if sockets[20000].answers[friend] != 2 || sockets[20001].answers[other] != 2 {
			t.Errorf("answers: %v %v", sockets[20000].answers, sockets[20001].answers)
		}
		if traffic := listeners.Traffic(); traffic[lease.Endpoint{Port: 20001}].Flows != 1 || traffic[lease.Endpoint{Port: 20000}].Flows > most {
			t.Errorf("%+v", traffic)
		}
		time.Sleep(30 * time.Second)
		if n := listeners.flows.Len(); n != 2 {
			t.Errorf("%d flows are left when only those that were answered should be", n)
		}
		time.Sleep(2 * time.Minute)
		if n := listeners.flows.Len() + places.Open(); n != 0 {
			t.Errorf("%d flows and places are left", n)
		}
		listeners.Stop()
		listeners.Close()
		listeners.Wait()
	})
}

// TestFlowsOfOthers: a node reaches no client of another node, and is told the same as if there were none.
func TestFlowsOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		socket, counters := newForgedSocket(), new(flow.Counters)
		listeners := overUDP(func(uint16) (net.PacketConn, error) { return socket, nil }, hundred(), counters)
		owner, thief := certs.NodeID{1}, certs.NodeID{2}
		if err := listeners.Bind(lease.Lease{Key: lease.Key{Node: owner, Service: "game"}, Port: 20000, Transport: lease.UDP}); err != nil {
			t.Fatal(err)
		}
		listeners.At(lease.Endpoint{Port: 20000}).Attach(new(silentTarget), members.Offer{Node: owner, Service: "game"})
		socket.come <- netip.MustParseAddrPort("192.0.2.1:7")
		synctest.Wait()
		f := listeners.flows.Find(1)
		for _, kind := range []framing.DatagramKind{framing.DatagramPayload, framing.DatagramKnown, framing.DatagramUnknown} {
			for _, number := range []uint64{1, 2} {
				if told := !listeners.Receive(thief, 7, framing.Datagram{Flow: number, Kind: kind}); told != (kind == framing.DatagramPayload) {
					t.Errorf("a stranger is told about kind %d of flow %d: %v", kind, number, told)
				}
			}
		}
		if len(socket.answers) != 0 || f.known.Load() != 0 || counters.Foreign.Load() != 3 || counters.NoFlow.Load() != 1 {
			t.Errorf("answers %v, known %x, dropped %v", socket.answers, f.known.Load(), counters.Dropped())
		}
		if d := f.toNode("game", 7, time.Minute, nil); d.Kind != framing.DatagramFirst || d.Header.ClientAddress != "192.0.2.1:7" || d.Header.IdleSeconds != 60 {
			t.Errorf("a new flow begins with %+v", d)
		}
		listeners.Receive(owner, 7, framing.Datagram{Flow: 1, Kind: framing.DatagramKnown})
		for process, want := range map[uint64]framing.DatagramKind{7: framing.DatagramPayload, 8: framing.DatagramFirst, 0: framing.DatagramFirst} {
			if d := f.toNode("game", process, time.Minute, nil); d.Kind != want {
				t.Errorf("process %d is sent kind %d", process, d.Kind)
			}
		}
		listeners.Receive(owner, 8, framing.Datagram{Flow: 1, Kind: framing.DatagramUnknown}) // an older process
		if d := f.toNode("game", 7, time.Minute, nil); d.Kind != framing.DatagramPayload {
			t.Error("another process of the node made it unknown")
		}
		listeners.Receive(owner, 7, framing.Datagram{Flow: 1, Kind: framing.DatagramUnknown})
		if d := f.toNode("game", 7, time.Minute, nil); d.Kind != framing.DatagramFirst {
			t.Error("a flow that the node does not know is not told again")
		}
		listeners.Unbind(lease.Lease{Key: f.port.listener.Key, Port: 20000, Transport: lease.UDP})
		synctest.Wait()
		if n := listeners.flows.Len(); n != 0 {
			t.Errorf("%d flows are left of a lease that ended", n)
		}
		listeners.Stop()
		listeners.Wait()
	})
}

// TestFlowsOfMembers: a flow is given to the member with the fewest, and stays there; no other member can
// answer it, or make it unknown. It goes elsewhere only when another member takes clients and its own does
// not.
func TestFlowsOfMembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		socket, counters := newForgedSocket(), new(flow.Counters)
		listeners := overUDP(func(uint16) (net.PacketConn, error) { return socket, nil }, hundred(), counters)
		group := lease.Lease{Key: lease.Key{Service: "game"}, Port: 20000, Transport: lease.UDP}
		if err := listeners.Bind(group); err != nil {
			t.Fatal(err)
		}
		p := listeners.At(lease.Endpoint{Port: 20000})
		nodes, targets := []certs.NodeID{{1}, {2}}, []*quietTarget{{}, {}}
		for i, node := range nodes {
			p.Attach(targets[i], members.Offer{Node: node, Service: "s"})
		}
		ask := func(port uint16) (at int) {
			socket.come <- netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)
			synctest.Wait()
			number := uint64(port)
			for i, node := range nodes {
				if listeners.Receive(node, 7, framing.Datagram{Flow: number, Payload: []byte("y")}) {
					at += i + 1
				}
			}
			return at
		}
		if got := ask(1); got != 1 {
			t.Errorf("the first flow is at %d", got)
		}
		if got := ask(2); got != 2 {
			t.Errorf("the second flow is at %d", got)
		}
		if n := counters.Foreign.Load(); n != 2 {
			t.Errorf("%d datagrams of others, want 2", n)
		}
		f := listeners.flows.Find(1)
		f.known.Store(^uint64(7))
		listeners.Receive(nodes[1], 7, framing.Datagram{Flow: 1, Kind: framing.DatagramUnknown})
		if f.known.Load() != ^uint64(7) {
			t.Error("another member made the flow unknown")
		}
		targets[0].silent = true
		if got := ask(1); got != 2 {
			t.Errorf("while its member is silent the flow is at %d", got)
		}
		targets[0].silent = false
		if got := ask(1); got != 2 {
			t.Errorf("then the flow is at %d", got)
		}
		targets[0].silent, targets[1].silent = true, true
		if got := ask(1); got != 2 {
			t.Errorf("while all are silent the flow is at %d", got)
		}
		if got := p.Traffic().Members; got[0].Clients != 0 || got[1].Clients != 2 {
			t.Errorf("%+v", got)
		}
		listeners.Unbind(group)
		synctest.Wait()
		if got := p.Traffic().Members; len(got) != 0 {
			t.Errorf("%+v are left", got)
		}
		listeners.Stop()
		listeners.Wait()
	})
}

// quietTarget is a connection of a member of a group.
type quietTarget struct{ silent bool }

func (m *quietTarget) Silent() bool                     { return m.silent }
func (*quietTarget) Relay(*Listener, *Client) error     { return ErrConnectionEnded }
func (*quietTarget) FlowSender() (*flow.Sender, uint64) { return nil, 0 }
func (*quietTarget) Ask(context.Context, string) error  { return ErrConnectionEnded }
