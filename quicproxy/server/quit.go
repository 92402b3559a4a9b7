package server

import (
	"maps"
	"slices"

	"apquic/lease"
	"apquic/quicproxy/server/internal/public"
)

// quit ends the part of c in a lease, which is held from now on if no other node has one.
func (s *Server) quit(c *nodeConn, p *public.Listener) {
	defer s.groups.Hold(p.Key)()
	if p.Leave(c) {
		s.detach(c, p)
	}
}

// quitFormer ends the part of c in the lease that a service had before it asked for another one, or for none.
func (c *nodeConn) quitFormer(service string, now lease.Key, private bool) {
	if p := c.services[service]; p != nil && (p.Key != now || private && !p.IsPrivate()) {
		delete(c.services, service)
		c.server.quit(c, p)
	}
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
