package public

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/internal/datagram"
	"apquic/quicproxy/server/internal/descriptors"
)

// sweeps is how often within its idle time the flows of a port are looked at. One that its service never answered
// ends after a part of that time.
const sweeps = 12

// errNoRoom says that a flow had to make room as soon as it had begun.
var errNoRoom = errors.New("there are as many flows as there may be")

// udpPort is the UDP socket of a lease, with its flows.
type udpPort struct {
	listener *Listener
	socket   net.PacketConn
	sender   *datagram.Sender

	toNode, fromNode atomic.Uint64 // bytes

	mu     sync.Mutex
	flows  map[netip.AddrPort]*clientFlow
	closed bool
}

// receive runs until the socket is closed.
func (u *udpPort) receive() {
	defer u.endAll()
	reader, armed, pause := datagram.NewReader(u.socket), false, time.Duration(0)
	for {
		err := reader.Read(u.take)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			armed = u.sweep() > 0
			u.setDeadline(armed, u.listener.all.FlowIdle()/sweeps)
		case err != nil:
			pause = descriptors.AcceptFailed(context.Background(), u.listener.all.log, err, pause, u.listener.Attr())
		default:
			pause = 0
			if !armed {
				armed = true
				u.setDeadline(armed, u.listener.all.FlowIdle()/sweeps)
			}
		}
	}
}

// setDeadline makes receive look at the flows.
func (u *udpPort) setDeadline(look bool, every time.Duration) {
	var at time.Time
	if look {
		at = time.Now().Add(every)
	}
	u.socket.SetReadDeadline(at)
}

// take sends what a client sent to the node.
func (u *udpPort) take(payload []byte, client netip.AddrPort, local netip.Addr) {
	p, config := u.listener, &u.listener.all.config
	f, err := u.flow(client, local)
	if err != nil {
		p.gate.Count(err)
		config.Datagrams.NoPlace.Add(1)
		return
	}
	if !u.mayPass(f, len(payload)) {
		return
	}
	f.place.Active()
	u.toNode.Add(uint64(len(payload)))
	f.bytes[0].Add(uint64(len(payload)))
	if target, service := p.carries(f); target != nil {
		if via, process := target.FlowSender(); via != nil {
			via.Send(service, f.toNode(service, process, u.listener.all.FlowIdle(), payload))
			return
		}
	}
	config.Datagrams.Away.Add(1)
}

// mayPass reports whether so many bytes of a client may go to the node, by rules that may have changed since its flow
// began, and counts it if not.
func (u *udpPort) mayPass(f *clientFlow, bytes int) bool {
	gate := u.listener.gate
	if version := gate.Version(); version != f.rules {
		if err := gate.Allows(f.client.Addr()); err != nil {
			gate.Count(err)
			u.end(f)
			return false
		}
		f.rules = version
	}
	if !f.in.Take(bytes) {
		gate.Dropped()
		return false
	}
	return true
}

// flow returns the flow of a client, perhaps a new one, or says why it may have none.
func (u *udpPort) flow(client netip.AddrPort, local netip.Addr) (*clientFlow, error) {
	u.mu.Lock()
	f, closed := u.flows[client], u.closed
	u.mu.Unlock()
	switch {
	case f != nil:
		return f, nil
	case closed:
		return nil, errPortClosed
	}
	gate := u.listener.gate
	version := gate.Version() // before the question, so that a change meanwhile is noticed
	if err := gate.Admit(client.Addr()); err != nil {
		return nil, err
	}
	f = &clientFlow{port: u, client: client, local: local, begun: time.Now().UnixNano(), from: datagram.From(local), in: gate.In.Datagrams(), out: gate.Out.Datagrams(), rules: version}
	place := u.listener.all.config.Flows.Enter(u.listener.service, client.Addr(), func() { u.end(f) })
	u.mu.Lock()
	defer u.mu.Unlock()
	if f.ended {
		place.Leave()
		return nil, errNoRoom
	}
	f.place, u.flows[client] = place, f
	u.listener.begun.Add(1)
	f.number = u.listener.all.flows.Add(f) // from now on its node may answer
	return f, nil
}

// answer sends a payload to the client of a flow.
func (u *udpPort) answer(f *clientFlow, payload []byte) {
	f.place.Active()
	f.place.Answered()
	if !f.out.Take(len(payload)) {
		u.listener.gate.Dropped()
		return
	}
	u.fromNode.Add(uint64(len(payload)))
	f.bytes[1].Add(uint64(len(payload)))
	if err := u.sender.Send(payload, f.from, f.client); err != nil {
		u.listener.all.config.Datagrams.Socket.Add(1)
	}
}

// end forgets a flow.
func (u *udpPort) end(f *clientFlow) {
	u.mu.Lock()
	f.ended = true
	if u.flows[f.client] == f {
		delete(u.flows, f.client)
	}
	place := f.place
	u.mu.Unlock()
	u.listener.all.flows.Remove(f.number)
	u.listener.flowEnded(f)
	place.Leave()
}

// sweep ends the flows that were idle for too long, and returns how many are left.
func (u *udpPort) sweep() (left int) {
	var over []*clientFlow
	u.mu.Lock()
	for _, f := range u.flows {
		if f.place.Left(u.listener.all.FlowIdle()) <= 0 {
			over = append(over, f)
		}
	}
	left = len(u.flows) - len(over)
	u.mu.Unlock()
	for _, f := range over {
		u.end(f)
	}
	return left
}

// endAll ends all flows, and lets no other begin.
func (u *udpPort) endAll() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.endFlows()
}

// endFlows ends those that there are.
func (u *udpPort) endFlows() {
	u.mu.Lock()
	all := slices.Collect(maps.Values(u.flows))
	u.mu.Unlock()
	for _, f := range all {
		u.end(f)
	}
}

// len is how many flows there are.
func (u *udpPort) len() int {
	if u == nil {
		return 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.flows)
}
