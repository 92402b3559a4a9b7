package public

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"apquic/internal/datagram"
	"apquic/quicproxy/internal/clients"
)

const (
	// sweeps is how often within its idle time the flows of a port are looked at.
	sweeps = 4
	// unansweredShare: a flow that its service never answered ends after one in unansweredShare of the idle
	// time. Its client may be forged.
	unansweredShare = 3
)

// orderEntry is a flow's place among those of its port that were not answered; nil: it was.
type orderEntry = *list.Element

// udpPort is the UDP socket of a lease, with its flows.
type udpPort struct {
	listener *Listener
	socket   net.PacketConn
	begin    time.Time

	toNode, fromNode atomic.Uint64 // bytes

	mu         sync.Mutex
	flows      map[netip.AddrPort]*clientFlow
	unanswered list.List // of *clientFlow; the oldest comes first
	closed     bool
}

// receive runs until the socket is closed.
func (u *udpPort) receive() {
	defer u.endAll()
	reader, armed, pause := datagram.NewReader(u.socket), false, minAcceptPause
	every := u.listener.all.config.FlowIdle / sweeps / unansweredShare
	for {
		err := reader.Read(u.take)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			armed = u.sweep() > 0
			u.setDeadline(armed, every)
		case err != nil:
			u.listener.all.acceptFailed(err, pause, u.listener.Attr())
			time.Sleep(pause)
			pause = min(2*pause, maxAcceptPause)
		default:
			pause = minAcceptPause
			if !armed {
				armed = true
				u.setDeadline(armed, every)
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
	f.active.Store(int64(time.Since(u.begin)))
	u.toNode.Add(uint64(len(payload)))
	if target, service := p.carries(f); target != nil {
		if via, process := target.FlowSender(); via != nil {
			via.Send(service, f.toNode(service, process, config.FlowIdle, payload))
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
	f = &clientFlow{port: u, client: client, from: datagram.From(local), in: gate.In.Datagrams(), out: gate.Out.Datagrams(), rules: version}
	if local.IsValid() {
		f.local = netip.AddrPortFrom(local, u.listener.Port).String()
	}
	place, err := u.admit(f)
	if err != nil {
		return nil, err
	}
	u.listener.all.flows.add(f)
	u.mu.Lock()
	if f.ended { // it had to make room at once
		u.mu.Unlock()
		u.listener.all.flows.remove(f)
		place.Leave()
		return nil, clients.ErrAllFull
	}
	defer u.mu.Unlock()
	f.place, u.flows[client] = place, f
	f.order = u.unanswered.PushBack(f)
	return f, nil
}

// admit gives a flow a place. One that its service never answered makes room, the oldest first, so that
// forged clients take places from nobody but each other.
func (u *udpPort) admit(f *clientFlow) (*clients.Place, error) {
	places := u.listener.all.config.Flows
	ask := func() (*clients.Place, error) {
		return places.Admit(u.listener.clientsOf(), f.client.Addr(), func() { u.end(f) })
	}
	place, err := ask()
	for _, limit := range []error{clients.ErrServiceFull, clients.ErrNodeFull, clients.ErrAllFull} {
		if errors.Is(err, limit) && u.endUnanswered() {
			return ask()
		}
	}
	return place, err
}

// endUnanswered ends the oldest flow that was not answered.
func (u *udpPort) endUnanswered() bool {
	u.mu.Lock()
	oldest := u.unanswered.Front()
	u.mu.Unlock()
	if oldest == nil {
		return false
	}
	u.end(oldest.Value.(*clientFlow))
	return true
}

// answer sends a payload to the client of a flow.
func (u *udpPort) answer(f *clientFlow, payload []byte) {
	f.place.Active()
	f.active.Store(int64(time.Since(u.begin)))
	if !f.answered.Swap(true) {
		u.mu.Lock()
		if f.order != nil {
			u.unanswered.Remove(f.order)
			f.order = nil
		}
		u.mu.Unlock()
	}
	if !f.out.Take(len(payload)) {
		u.listener.gate.Dropped()
		return
	}
	u.fromNode.Add(uint64(len(payload)))
	if err := u.write(f, payload); err != nil {
		u.listener.all.config.Datagrams.Socket.Add(1)
	}
}

func (u *udpPort) write(f *clientFlow, payload []byte) (err error) {
	if udp, ok := u.socket.(*net.UDPConn); ok {
		_, _, err = udp.WriteMsgUDPAddrPort(payload, f.from, f.client)
	} else {
		_, err = u.socket.WriteTo(payload, net.UDPAddrFromAddrPort(f.client))
	}
	return err
}

// end forgets a flow.
func (u *udpPort) end(f *clientFlow) {
	u.mu.Lock()
	f.ended = true
	if u.flows[f.client] == f {
		delete(u.flows, f.client)
	}
	if f.order != nil {
		u.unanswered.Remove(f.order)
		f.order = nil
	}
	place := f.place
	u.mu.Unlock()
	u.listener.all.flows.remove(f)
	u.listener.flowEnded(f)
	place.Leave()
}

// sweep ends the flows that were idle for too long, and returns how many are left.
func (u *udpPort) sweep() (left int) {
	idle, now := u.listener.all.config.FlowIdle, time.Since(u.begin)
	var over []*clientFlow
	u.mu.Lock()
	for _, f := range u.flows {
		limit := idle
		if !f.answered.Load() {
			limit /= unansweredShare
		}
		if now-time.Duration(f.active.Load()) >= limit {
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
	var all []*clientFlow
	for _, f := range u.flows {
		all = append(all, f)
	}
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
