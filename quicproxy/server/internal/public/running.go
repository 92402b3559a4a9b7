package public

import (
	"cmp"
	"slices"
	"time"

	"apquic/lease"
	"apquic/quicproxy/live"
)

// row is a client that may be in an answer. Only those in it are looked at closely.
type row struct {
	port   *Listener
	client *Client
	since  time.Time
	waits  bool // for its node
}

// Relays returns the relays that are selected, and the clients that wait for their node, in the order in which they
// began, and how many there are of them.
func (s *Listeners) Relays(which live.Selection) (some []live.Relay, total int) {
	var rows []row
	for _, p := range s.all() {
		rows = p.rows(rows, which)
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.port.Key.Service, b.port.Key.Service), cmp.Compare(a.client.RemoteAddr().String(), b.client.RemoteAddr().String()))
	})
	from, to := which.Bounds(len(rows))
	for _, r := range rows[from:to] {
		some = append(some, r.tell())
	}
	return some, len(rows)
}

// rows appends the clients of the service.
func (p *Listener) rows(rows []row, which live.Selection) []row {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.relays {
		if which.Has(c.Offer.Node, p.Key.Service) {
			rows = append(rows, row{port: p, client: c, since: c.relay.Load().Begun()})
		}
	}
	for w := range p.parking.clients {
		if which.Has(p.Key.Node, p.Key.Service) {
			rows = append(rows, row{p, w.client, w.Until.Add(-max(p.all.config.Park, 0)), true})
		}
	}
	return rows
}

// tell says what is known of the client now; its relay may have ended meanwhile.
func (r row) tell() live.Relay {
	p, c := r.port, r.client
	told := live.Relay{
		Node: p.Key.Node, Service: p.Key.Service, Port: p.Port, Domain: p.Domain, Private: p.private, Client: c.RemoteAddr().String(), Since: r.since, State: "waiting",
	}
	if r.waits {
		return told
	}
	p.mu.Lock()
	if _, runs := p.relays[c]; runs {
		told.Node = c.Offer.Node // its client changes it only while it has no relay
	}
	p.mu.Unlock()
	relay := c.relay.Load()
	told.In, told.Out, told.Resumed = relay.ToStream(), relay.ToTCP(), relay.Stream().Resumed()
	told.State = "running"
	if stream, _ := relay.Stream().Current(); stream == nil {
		told.State = "resuming"
	}
	return told
}

// Flows returns the flows that are selected, those first over which something passed last, and how many there are.
func (s *Listeners) Flows(which live.Selection) (some []live.Flow, total int) {
	for _, p := range s.all() {
		if p.udp != nil {
			some = p.udp.tell(some, which)
		}
	}
	slices.SortFunc(some, func(a, b live.Flow) int { return cmp.Or(cmp.Compare(a.Idle, b.Idle), cmp.Compare(a.Client, b.Client)) })
	from, to := which.Bounds(len(some))
	return some[from:to], len(some)
}

func (u *udpPort) tell(flows []live.Flow, which live.Selection) []live.Flow {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, f := range u.flows {
		told := live.Flow{Service: u.listener.Key.Service, Port: u.listener.Port, Client: f.client.String(), Since: time.Unix(0, f.begun).UTC(), In: f.bytes[0].Load(), Out: f.bytes[1].Load()}
		if m := f.member.Load(); m != nil {
			told.Node = m.Node
		}
		if which.Has(told.Node, told.Service) {
			told.Idle, told.Answered = f.place.Idle()
			flows = append(flows, told)
		}
	}
	return flows
}

// FlowBytes returns how many bytes of flows have gone to nodes and come from them since the start.
func (s *Listeners) FlowBytes() (toNodes, fromNodes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	toNodes, fromNodes = s.gone[0], s.gone[1]
	for _, p := range s.at {
		if p.udp != nil {
			toNodes, fromNodes = toNodes+p.udp.toNode.Load(), fromNodes+p.udp.fromNode.Load()
		}
	}
	return toNodes, fromNodes
}

// keepFlowBytesLocked keeps those of a port that is about to be closed.
func (s *Listeners) keepFlowBytesLocked(p *Listener) {
	if p != nil && p.udp != nil {
		s.gone[0] += p.udp.toNode.Load()
		s.gone[1] += p.udp.fromNode.Load()
	}
}

// PrivateTraffic returns the traffic of the private services.
func (s *Listeners) PrivateTraffic() map[lease.Key]Traffic {
	services := make(map[lease.Key]Traffic)
	for _, p := range s.all() {
		if p.private {
			services[p.Key] = p.Traffic()
		}
	}
	return services
}

// Refused returns how many clients were reset without a relay, or told that nobody has the name, and how many were
// answered here otherwise; and the first by reason.
func (s *Listeners) Refused() (refused, answered uint64, byReason map[string]uint64) {
	return s.refused.Total(), s.answered.Load(), s.refused.ByName()
}

// Usage is how many of the places of clients, and of flows, are taken.
func (s *Listeners) Usage() (clients, flows live.Usage) {
	return s.config.Clients.Usage(), s.config.Flows.Usage()
}
