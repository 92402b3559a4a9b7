package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"apquic/quicproxy"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/server/internal/account"
	"apquic/quicproxy/server/internal/ruled"
	"apquic/quicproxy/server/internal/stage"
)

// Follow makes what another Config says hold from now on, as far as it can change while the server runs: Groups, Rules,
// Visitors and Country, LeaseTime, Park, FlowIdle, MaxServices, MaxLeasesPerAddress, MaxClients and
// MaxClientsPerAddress. Nobody loses a lease or a place, or a relay, except those of a node without bytes in this month; a
// node that a group no longer names gets no more clients of that. After an error nothing has changed.
func (s *Server) Follow(config Config) error {
	if err := cmp.Or(visitors.Check(config.Visitors), config.Rules.Check()); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if err := s.groups.Set(config.Groups); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.rules.Set(config.Rules)
	s.public.SetRules(config.Visitors, config.Country)
	s.public.SetTimes(cmp.Or(config.Park, defaultPark), cmp.Or(config.FlowIdle, quicproxy.DefaultFlowIdle))
	s.lessor.SetLimits(config.LeaseTime, config.MaxServices)
	s.accounts.SetMaxServices(config.MaxServices)
	s.guests.SetMax(config.MaxLeasesPerAddress)
	s.writes.SetBurst(account.RequestBurst(config.MaxLeasesPerAddress))
	s.clients.SetLimits(cmp.Or(config.MaxClients, defaultMaxClients), cmp.Or(config.MaxClientsPerAddress, defaultMaxClientsPerAddress))
	s.heedRules(context.Background())
	return nil
}

// heedRules has the groups and rules hold, as they are now, for what nodes have.
func (s *Server) heedRules(context.Context) (done bool) {
	for _, c := range s.registry.conns(func(_ *session, c *nodeConn) bool { return c.stage.Last() != stage.Joining }) {
		c.quitRefused()
	}
	return true
}

// quitRefused ends what c has of services that its node may no longer offer, and limits the others.
func (c *nodeConn) quitRefused() {
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	limits := c.allowed()
	c.limits() // its account takes note
	refused, clients := ruled.Refused(limits, c.server.lessor.LeasesOf(c.node)), c.server.rules.Clients(c.node, limits, c.log)
	for name, p := range maps.Clone(c.services) {
		err := cmp.Or(limits.RefuseAll(time.Now()), refused[p.Key])
		if err == nil && p.Key.IsGroup() {
			err = c.server.groups.Check(p.Key.Service, c.node, c.admission.Name)
		}
		if err == nil {
			p.Limit(clients)
			continue
		}
		delete(c.services, name)
		c.server.quit(c, p)
		c.log.Info("the node may no longer offer a service", "service", name, "err", err)
	}
}

// Settle tells Config.Ledger, which must not be nil, what has passed since the last time; it must be called every minute
// or so, and once after Run. A node that has used up the bytes of this month gets no more visitors, and loses those it has.
func (s *Server) Settle() {
	s.public.Settle()
	if s.rules.LimitMonths() {
		s.heedRules(context.Background())
	}
}
