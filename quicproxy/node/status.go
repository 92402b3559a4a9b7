package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/live"
)

// Status is a copied snapshot of a node.
type Status struct {
	Node    certs.NodeID
	Name    string       // what the server's operator calls it; may be empty
	Server  certs.NodeID // the one it wants
	Address string       // of the server, host:port
	// Since is when the connection to the server was made; zero: there is none, and Trouble says why, if known.
	Since    time.Time
	Trouble  error
	NextTry  time.Time       // if there is Trouble; sooner if the network of this machine changes
	Remote   string          // the address that the connection goes to; empty: there is none
	Path     live.Path       // of the connection, without moves
	Sent     uint64          // bytes to the server over all connections that there are now, in QUIC packets
	Received uint64          // from the server
	Services []ServiceStatus // in their order
	// DatagramsDropped is how many datagrams of flows were dropped since the node was started, by reason.
	DatagramsDropped map[string]uint64
}

// ServiceStatus is one service of a node.
type ServiceStatus struct {
	Service, Origin string
	PublicAddress   string // tcp://host:port or https://name; empty: none, and Refusal says why, if known
	Name            string // where clients come by name beside a port; empty: nowhere
	Refusal         error
	Relays          int               // and flows, running now
	Refused         quicproxy.Refused // visitors, by the server; zero: none, or the server does not say
	Upstream        error             // why the service cannot be reached now, or is unhealthy; nil: it answers, or it is this program
	Unhealthy       bool              // it gets no new clients, since its health check fails
}

// Status returns a snapshot. It asks upstreams and the server until ctx ends, or nobody if it has: see the fields.
func (n *Node) Status(ctx context.Context) Status {
	n.mu.Lock()
	status := Status{
		Node: n.config.Key.ID(), Name: n.welcome.Name, Server: n.server, Address: n.config.Address, Trouble: n.trouble, NextTry: n.nextTry, DatagramsDropped: n.datagrams.Dropped(),
	}
	l, services := n.link, slices.Clone(n.services)
	n.mu.Unlock()
	status.Sent, status.Received = n.memory.Bytes()
	if l != nil {
		status.Since, status.Remote, status.Path = l.since, l.QUIC.RemoteAddr().String(), l.Path()
		status.Path.Keepalive = l.keepalives.Interval()
	}
	status.Services = make([]ServiceStatus, len(services))
	var asking sync.WaitGroup
	for i, service := range services {
		asking.Go(func() { status.Services[i] = service.status(ctx, n, l != nil) })
	}
	var counts map[string]quicproxy.Refused // without an answer nobody is known to be
	if l != nil && ctx.Err() == nil && l.features.Has(framing.FeatureVisitors) {
		asking.Go(func() { counts = visitors.Ask(ctx, l.Control) })
	}
	asking.Wait()
	for i := range status.Services {
		status.Services[i].Refused = counts[status.Services[i].Service]
	}
	return status
}

// Answers returns when no part of the node keeps the others waiting, which is at once unless something is wrong.
func (n *Node) Answers() {
	n.memory.Used()
	n.flows.Len()
	n.relaysWait()
}

// Relays returns the running relays that are selected, and how many there are.
func (n *Node) Relays(which live.Selection) ([]live.Relay, int) { return n.memory.Relays(which) }

// status returns the status of one service; without a connection it has no public address.
func (e *exposed) status(ctx context.Context, n *Node, connected bool) ServiceStatus {
	status := ServiceStatus{Service: e.name, Origin: e.origin, Relays: int(e.relays.Load()) + n.flows.Of(e.name)}
	if e.upstream != nil {
		status.Upstream, status.Unhealthy = e.trouble(ctx), e.health.Sick() != nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if status.Refusal = e.refusal; connected && e.refusal == nil {
		status.PublicAddress, status.Name = e.public, e.named
	}
	return status
}
