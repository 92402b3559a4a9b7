package public

import (
	"apquic/quicproxy"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/server/internal/members"
)

// Traffic is what has passed through a public port since it was opened.
type Traffic struct {
	Clients          int // public connections now, including those that wait
	Flows            int // over UDP now
	ToNode, FromNode uint64
	Refused          quicproxy.Refused
	Members          []members.Status // the nodes that offer the service now, or still have clients
}

// Traffic returns the traffic so far, including that of running relays.
func (p *Listener) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.ended
	t.Clients, t.Flows, t.Refused, t.Members = p.clients, p.udp.len(), p.gate.Refused(), p.members.Status()
	if p.udp != nil {
		t.ToNode, t.FromNode = t.ToNode+p.udp.toNode.Load(), t.FromNode+p.udp.fromNode.Load()
	}
	for r := range p.relays {
		t.ToNode += r.ToStream()
		t.FromNode += r.ToTCP()
	}
	return t
}

// RelayBegan counts a relay from now on.
func (p *Listener) RelayBegan(r *relay.Relay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.relays == nil {
		p.relays = make(map[*relay.Relay]struct{})
	}
	p.relays[r] = struct{}{}
}

// RelayEnded keeps the bytes of a relay that ended.
func (p *Listener) RelayEnded(r *relay.Relay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.relays, r)
	p.ended.ToNode += r.ToStream()
	p.ended.FromNode += r.ToTCP()
}

func (p *Listener) clientCame(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients += n
}
