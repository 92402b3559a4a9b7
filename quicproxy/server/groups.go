package server

import (
	"fmt"

	"apquic/lease"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/termination"
)

// checkGroup refuses a lease of a group that the node may not offer, that it already offers with another
// service, or that others offer with another mode.
func (c *nodeConn) checkGroup(r *lease.Request, service string, mode termination.Mode) error {
	if err := c.server.groups.Check(r.Service, c.node, c.admission.Name); err != nil {
		return err
	}
	for name, p := range c.services {
		if p.Key == r.Key && name != service {
			return failure.BadRequest(fmt.Errorf("this node already offers the group %q with its service %q", r.Service, name))
		}
	}
	p := c.server.public.Shared(r.Key, c.node)
	if r.Shared = p != nil; r.Shared && p.Domain == r.Domain && p.Mode() != mode {
		return failure.EndsElsewhere(r.Service)
	}
	return nil
}
