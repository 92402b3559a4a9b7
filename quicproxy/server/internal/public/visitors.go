package public

import (
	"maps"
	"net/netip"
	"slices"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/ruling"
)

// SetRules sets Config.Visitors and Config.Country, for clients from now on.
func (s *Listeners) SetRules(rules quicproxy.Visitors, country func(netip.Addr) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.country = rules, country
	for _, p := range s.at {
		p.gate.SetServer(rules, country)
	}
}

// KnowsCountries reports whether there is a Config.Country.
func (s *Listeners) KnowsCountries() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.country != nil
}

// Restrict says who may visit, from now on, in addition to what the server says, which the limits are a part of.
func (p *Listener) Restrict(v quicproxy.Visitors, limits ruling.Limits) {
	p.Limit(limits)
	p.gate.Set(v)
}

// Limit says what the rules of the server say about the node. A group is not one node's. A node that has used up its
// bytes keeps no client: one that never leaves would have as many as it likes.
func (p *Listener) Limit(limits ruling.Limits) {
	if p.Key.IsGroup() {
		return
	}
	p.gate.SetLimits(limits)
	if limits.Spent != "" {
		p.reset()
	}
}

// reset ends all relays and flows. Clients that wait, and those that come from an HTTP connection that stays, are asked
// again by the gate before they have a relay.
func (p *Listener) reset() {
	p.mu.Lock()
	clients := slices.Collect(maps.Keys(p.relays))
	p.mu.Unlock()
	for _, c := range clients {
		c.evict()
	}
	if p.udp != nil {
		p.udp.endFlows()
	}
}

// Pace limits the bytes per second of a relay that begins.
func (p *Listener) Pace(r *relay.Relay) { r.Pace(p.gate.In.Share(), p.gate.Out.Share()) }

// maxRefused bounds the services in an answer, so that a message has room for them.
const maxRefused = 512

// RefusedOf is how many visitors of each service of a node were refused, as the node is told.
func (s *Listeners) RefusedOf(node certs.NodeID) *framing.VisitorsResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	response := new(framing.VisitorsResponse)
	for _, p := range s.byNode[node] {
		if counts := p.gate.Counts(p.Key.Service); counts != nil && len(response.Services) < maxRefused {
			response.Services = append(response.Services, counts)
		}
	}
	return response
}

// welcome says why a client may not visit; nil: it may.
func (p *Listener) welcome(c *Client) error { return p.gate.Admit(c.from()) }

// clientsOf is the service whose clients come, with the limit that it has now.
func (p *Listener) clientsOf() clients.Service { return p.gate.Limited(p.service) }

// endLimits lets those go on who wait because of the bytes per second.
func (p *Listener) endLimits() {
	p.gate.In.Set(0)
	p.gate.Out.Set(0)
}

// from is the address that a client comes from.
func (c *Client) from() netip.Addr { return netaddr.Endpoint(c.RemoteAddr()).Addr() }
