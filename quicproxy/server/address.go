package server

import (
	"maps"
	"slices"

	"apquic/framing"
	"apquic/lease"
)

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
	response.PreviousAddress, response.PreviousReason = c.server.addresses.Of(granted.Transport, granted.Previous), granted.Why
	c.log.Warn("address changed", "change", response.PreviousAddress+" -> "+response.ProxyAddress, "service", granted.Service, "reason", granted.Why)
}
