package server

import (
	"fmt"

	"apquic/lease"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/termination"
)

// checkShare refuses a lease that the node may not have in addition to those it has: it joined recently, or
// it is unknown and its address already has many leases. The first service of an invited node gets the port
// of its invitation.
func (c *nodeConn) checkShare(r *lease.Request, service string, mode termination.Mode) error {
	if r.IsGroup() {
		return c.checkGroup(r, service, mode)
	}
	if c.countsAsGuest() {
		return c.checkGuest(*r)
	}
	limit := c.admission.ServicesNow()
	if limit == 0 && c.admission.Port == 0 || c.server.lessor.Has(r.Key) {
		return nil
	}
	others := len(c.server.lessor.LeasesOf(c.node))
	if _, takesOver := c.server.lessor.TakesOver(*r); takesOver {
		others--
	}
	if limit > 0 && others >= limit {
		return fmt.Errorf("%w: this node has %d, and may not have more in its first day", lease.ErrTooManyServices, others)
	}
	if others == 0 && r.WantedPort == 0 && r.Domain == "" && c.server.config.Ports.Contains(c.admission.Port) && (r.Ports.IsZero() || r.Ports.Contains(c.admission.Port)) {
		r.WantedPort = c.admission.Port
	}
	return nil
}

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

// countsAsGuest reports whether the leases of the node count against its address.
func (c *nodeConn) countsAsGuest() bool {
	return !c.admission.Known && c.server.guests.Max() > 0
}

// checkGuest counts a lease of an unknown node against its address, since new keys cost nothing. A new name
// for a service is not another lease.
func (c *nodeConn) checkGuest(r lease.Request) error {
	former, _ := c.server.lessor.TakesOver(r)
	if c.server.guests.Take(netaddr.Customer(netaddr.Endpoint(c.QUIC.RemoteAddr()).Addr()), r.Key, former) {
		return nil
	}
	return fmt.Errorf("%w: the nodes of this address have %d, the limit per address", lease.ErrTooManyServices, c.server.guests.Max())
}
