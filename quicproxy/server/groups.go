package server

import (
	"fmt"

	"apquic/lease"
	"apquic/quicproxy/server/internal/failure"
)

// checkGroup refuses a lease of a group that the node may not offer, or that it already offers with another
// service.
func (c *nodeConn) checkGroup(r *lease.Request, service string) error {
	if err := c.server.groups.Check(r.Service, c.node, c.admission.Name); err != nil {
		return err
	}
	for name, p := range c.services {
		if p.Key == r.Key && name != service {
			return failure.BadRequest(fmt.Errorf("this node already offers the group %q with its service %q", r.Service, name))
		}
	}
	r.Shared = c.server.public.Shared(r.Key, c.node)
	return nil
}
