package server

import (
	"cmp"
	"fmt"
	"maps"

	"apquic/quicproxy"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/server/internal/account"
)

// Follow makes what another Config says hold from now on, as far as it can change while the server runs: Groups,
// Visitors and Country, LeaseTime, Park, FlowIdle, MaxServices, MaxLeasesPerAddress, MaxClients and
// MaxClientsPerAddress. Nobody loses a lease, a place or a relay; a node that a group no longer names gets no more
// clients of that. After an error nothing has changed.
func (s *Server) Follow(config Config) error {
	if err := visitors.Check(config.Visitors); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if err := s.groups.Set(config.Groups); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.public.SetRules(config.Visitors, config.Country)
	s.public.SetTimes(cmp.Or(config.Park, defaultPark), cmp.Or(config.FlowIdle, quicproxy.DefaultFlowIdle))
	s.lessor.SetLimits(config.LeaseTime, config.MaxServices)
	s.accounts.SetMaxServices(config.MaxServices)
	s.guests.SetMax(config.MaxLeasesPerAddress)
	s.writes.SetBurst(account.RequestBurst(config.MaxLeasesPerAddress))
	s.clients.SetLimits(cmp.Or(config.MaxClients, defaultMaxClients), cmp.Or(config.MaxClientsPerAddress, defaultMaxClientsPerAddress))
	for _, c := range s.registry.conns(func(_ *session, c *nodeConn) bool { return c.last() != joining }) {
		c.quitGroups()
	}
	return nil
}

// quitGroups ends what c has of groups that its node may no longer offer.
func (c *nodeConn) quitGroups() {
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	for name, p := range maps.Clone(c.services) {
		if p.Key.IsGroup() && c.server.groups.Check(p.Key.Service, c.node, c.admission.Name) != nil {
			delete(c.services, name)
			c.server.quit(c, p)
			c.log.Info("the node may no longer offer a group", "group", p.Key.Service)
		}
	}
}
