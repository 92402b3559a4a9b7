package public

import "apquic/quicproxy/internal/relay"

// Traffic is what has passed through a public port since it was opened.
type Traffic struct {
	Clients          int // public connections now, including those that wait
	ToNode, FromNode uint64
}

// Traffic returns the traffic so far, including that of running relays.
func (p *Listener) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.ended
	t.Clients = p.clients
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
