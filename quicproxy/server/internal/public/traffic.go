package public

import (
	"apquic/quicproxy"
	"apquic/quicproxy/server/internal/members"
)

// Traffic is what has passed through a public port since it was opened.
type Traffic struct {
	Name             string // below the server's own domain, where clients come for a service with a port; empty: none
	Clients          int    // public connections now, including those that wait
	Flows            int    // over UDP now
	ToNode, FromNode uint64
	Refused          quicproxy.Refused
	relays           uint64           // begun
	Members          []members.Status // the nodes that offer the service now, or still have clients
}

// Traffic returns the traffic so far, including that of running relays.
func (p *Listener) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.ended
	if p.Domain == "" {
		t.Name = p.name
	}
	t.Clients, t.Flows, t.Refused, t.Members = p.clients, p.udp.len(), p.gate.Refused(), p.members.Status()
	if p.udp != nil {
		t.ToNode, t.FromNode = t.ToNode+p.udp.toNode.Load(), t.FromNode+p.udp.fromNode.Load()
	}
	for c := range p.relays {
		r := c.relay.Load()
		t.ToNode += r.ToStream()
		t.FromNode += r.ToTCP()
	}
	return t
}

// RelayBegan counts the relay of a client from now on.
func (p *Listener) RelayBegan(c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.relays == nil {
		p.relays = make(map[*Client]struct{})
	}
	p.relays[c] = struct{}{}
	if !c.Begun {
		p.ended.relays++
	}
}

// RelayEnded keeps the bytes of the relay of a client that ended.
func (p *Listener) RelayEnded(c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.relays, c)
	r := c.relay.Load()
	p.ended.ToNode += r.ToStream()
	p.ended.FromNode += r.ToTCP()
}

func (p *Listener) clientCame(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients += n
}
