package server

import (
	"maps"
	"net"
	"slices"
	"strconv"

	"apquic/framing"
	"apquic/lease"
)

// publicAddress is what nodes are told about a public port or domain.
func (s *Server) publicAddress(transport lease.Transport, e lease.Endpoint) string {
	if e.Domain != "" {
		return s.public.URL(e.Domain)
	}
	host := s.config.PublicHost
	if host == "" && s.config.FindPublicHost != nil {
		host = s.config.FindPublicHost()
	}
	return transport.String() + "://" + net.JoinHostPort(host, strconv.Itoa(int(e.Port)))
}

// endForgotten ends services that older connections of the node still have but the node does not: they were
// renamed or removed, and the connection, perhaps that of a killed process, has not ended yet. It needs
// session.leases.
func (c *nodeConn) endForgotten(services []string) {
	if len(services) == 0 {
		return
	}
	c.server.registry.mu.Lock()
	conns := slices.Clone(c.session.conns)
	c.server.registry.mu.Unlock()
	for _, old := range conns {
		if old.successor == nil {
			continue
		}
		for name, p := range maps.Clone(old.services) {
			if slices.Contains(services, name) {
				continue
			}
			delete(old.services, name)
			c.server.quit(old, p)
		}
	}
}

// reportMove logs that the address of a service changed, and adds that to the answer.
func (c *nodeConn) reportMove(granted lease.Grant, response *framing.ProxyResponse) {
	if granted.Previous.IsZero() {
		return
	}
	response.PreviousAddress, response.PreviousReason = c.server.publicAddress(granted.Transport, granted.Previous), granted.Why
	c.log.Warn("address changed", "change", response.PreviousAddress+" -> "+response.ProxyAddress, "service", granted.Service, "reason", granted.Why)
}
