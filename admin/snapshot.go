package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"apquic/certs"
	"apquic/internal/notices"
	"apquic/lease"
	"apquic/quicproxy/server"
)

// ListNodes implements Operations.
func (a *Authority) ListNodes(ctx context.Context) ([]Node, error) {
	known, err := a.all(ctx)
	if err != nil {
		return nil, err
	}
	status, err := a.Core.Status(ctx)
	if err != nil {
		return nil, err
	}
	nodes := make(map[certs.NodeID]*Node)
	for _, k := range known {
		node := &Node{ID: k.ID, Name: k.Name, State: Away, Known: true, Joined: orNone(k.Joined)}
		if k.Denied {
			node.State = SentAway
		}
		nodes[k.ID] = node
	}
	named := func(id certs.NodeID) *Node {
		if nodes[id] == nil {
			nodes[id] = &Node{ID: id, State: Away} // on a server that is open
		}
		return nodes[id]
	}
	for _, l := range status.Leases {
		if !l.IsGroup() {
			named(l.Node).Services++
		}
	}
	for _, s := range status.Sessions {
		if !s.Connects {
			named(s.Node).addSession(s)
		}
	}
	list := make([]Node, 0, len(nodes))
	for _, node := range nodes {
		list = append(list, *node)
	}
	slices.SortFunc(list, func(a, b Node) int { return cmp.Or(cmp.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:])) })
	return list, nil
}

// Whereabouts says of the nodes that may come, by the attribute node of log lines, where they are; nil: that is unknown.
func (a *Authority) Whereabouts() map[string]notices.Node {
	nodes, err := a.ListNodes(context.Background())
	if err != nil {
		return nil
	}
	all := make(map[string]notices.Node)
	for _, node := range nodes {
		if node.State != SentAway {
			all[node.ID.LogValue().String()] = notices.Node{Name: node.Name, Known: node.Known, Away: node.State == Away}
		}
	}
	return all
}

// node is one of ListNodes.
func (a *Authority) node(ctx context.Context, id certs.NodeID) (Node, error) {
	nodes, err := a.ListNodes(ctx)
	for _, node := range nodes {
		if node.ID == id {
			return node, err
		}
	}
	return Node{ID: id, State: Away}, err
}

// all returns the nodes of the list; invalid lines hide nobody.
func (a *Authority) all(ctx context.Context) ([]certs.AuthorizedNode, error) {
	nodes, err := a.Nodes.All(ctx)
	if errors.Is(err, certs.ErrBadLines) {
		err = nil // they are reported where nodes are checked
	}
	return nodes, err
}

// Status implements Operations.
func (a *Authority) Status(ctx context.Context) (Status, error) {
	nodes, err := a.all(ctx)
	if err != nil {
		return Status{}, err
	}
	known := make(map[certs.NodeID]certs.AuthorizedNode)
	for _, node := range nodes {
		known[node.ID] = node
	}
	core, err := a.Core.Status(ctx)
	if err != nil {
		return Status{}, err
	}
	sessions := make(map[certs.NodeID]server.SessionStatus)
	for _, s := range core.Sessions {
		if s.Primary {
			sessions[s.Node] = s
		}
	}
	_, running := a.Core.(Running)
	status := Status{Running: running, Since: orNone(core.Since), Version: a.Version, Used: len(core.Leases), Services: make([]Service, len(core.Leases))}
	status.countNodes(known, core)
	if host, port, err := a.Address(); err == nil {
		status.Address = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	if !a.Ports.IsZero() {
		status.Range, status.Ports = a.Ports.String(), a.Ports.Size()
	}
	if running {
		status.Budgets = &core.Budgets
		status.Counters = &Counters{
			Connections: core.Counters.Relays, In: core.Counters.ToNode, Out: core.Counters.FromNode,
			Refused: core.Counters.Refused, RefusedBy: core.Counters.RefusedBy, Answered: core.Counters.Answered, Stalled: core.Counters.Stalled,
			DatagramsToNodes: core.Counters.DatagramsToNodes, DatagramsFromNodes: core.Counters.DatagramsFromNodes, DatagramsDropped: core.Counters.DatagramsDropped,
			Lasted: core.Counters.Lasted, RTTs: core.Counters.RTTs, FirstBytes: core.Counters.FirstBytes, Canaries: core.Counters.Canaries,
		}
	}
	a.addCounts(&status)
	for i, l := range core.Leases {
		status.Services[i] = serviceOf(l, known[l.Node], sessions[l.Node], core.Traffic[l.Endpoint()])
		status.Services[i].addMembers(core.Traffic[l.Endpoint()], known)
		if l.Domain != "" {
			status.Used--
			status.Domains++
		}
	}
	for key, traffic := range core.Private {
		s := serviceOf(lease.Lease{Key: key}, known[key.Node], sessions[key.Node], traffic)
		s.Private = true
		s.addMembers(traffic, known)
		status.Services = append(status.Services, s)
	}
	status.addCanaries(core.Canaries)
	for _, s := range status.Services {
		status.Connections, status.Flows = status.Connections+s.Connections, status.Flows+s.Flows
	}
	sortServices(status.Services)
	return status, nil
}

// countNodes counts the nodes that are known, or here.
func (status *Status) countNodes(known map[certs.NodeID]certs.AuthorizedNode, core server.Status) {
	status.Nodes = len(known)
	for _, s := range core.Sessions {
		if !s.Primary {
			continue
		}
		status.Online++
		if _, ok := known[s.Node]; !ok {
			status.Nodes++
		}
		if from, err := netip.ParseAddrPort(s.Address); err != nil || !isOutside(from.Addr().Unmap()) {
			continue
		}
		status.Outside++
		if status.LastOutside == nil || s.Since.After(*status.LastOutside) {
			status.LastOutside = orNone(s.Since)
		}
	}
}

// isOutside reports whether an address is that of another network, or of this one by way of its router.
func isOutside(from netip.Addr) bool {
	return from.IsGlobalUnicast() && !from.IsPrivate()
}

// sortServices sorts by owner and name.
func sortServices(services []Service) {
	owners := make(map[certs.NodeID]string) // their ids cost time to write
	owner := func(s Service) string {
		if s.IsGroup() {
			return s.owner()
		}
		if owners[s.Node] == "" {
			owners[s.Node] = s.owner()
		}
		return owners[s.Node]
	}
	slices.SortStableFunc(services, func(a, b Service) int {
		if c := cmp.Compare(owner(a), owner(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.Service, b.Service)
	})
}

func serviceOf(l lease.Lease, node certs.AuthorizedNode, session server.SessionStatus, traffic server.Traffic) Service {
	s := Service{
		Node: l.Node, Name: node.Name, Service: l.Service, Port: l.Port, Pinned: l.Pinned, Transport: l.Transport, Domain: l.Domain, Origin: l.Origin,
		State: Away, HeldUntil: orNone(l.HeldUntil),
		Hostname: traffic.Name, Connections: traffic.Clients, Flows: traffic.Flows, In: traffic.ToNode, Out: traffic.FromNode, Refused: traffic.Refused,
	}
	switch {
	case node.Denied, node.ID.IsZero() && l.State() == lease.Reserved: // also of a former group
		s.State = SentAway
	case l.Attached() && !session.Since.IsZero():
		s.State, s.Since, s.From = Online, orNone(session.Since), hostOf(session.Address)
	}
	return s
}

func orNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
