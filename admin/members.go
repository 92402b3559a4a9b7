package admin

import (
	"cmp"
	"slices"

	"apquic/certs"
	"apquic/quicproxy/server"
)

// IsGroup reports whether several nodes may offer the service.
func (s Service) IsGroup() bool { return s.Node.IsZero() }

// owner is what people call whose service it is.
func (s Service) owner() string {
	if s.IsGroup() {
		return "the group " + s.Service
	}
	return nameOf(s.Name, s.Node)
}

// addMembers adds what the nodes that offer the service say of it; known are the operator's.
func (s *Service) addMembers(traffic server.Traffic, known map[certs.NodeID]certs.AuthorizedNode) {
	for _, m := range traffic.Members {
		if !s.IsGroup() {
			s.Unhealthy = s.Unhealthy || m.Unhealthy && m.Connected
			continue
		}
		member := Member{Node: m.Node, Name: known[m.Node].Name, Service: m.Service, State: Away, Clients: m.Clients, Unhealthy: m.Unhealthy && m.Connected}
		if m.Connected {
			member.State, s.State = Online, Online
		}
		s.Members = append(s.Members, member)
	}
	slices.SortFunc(s.Members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node.String(), b.Node.String()))
	})
}
