package server

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"apquic/framing"
	"apquic/lease"
)

// publicAddress is what nodes are told about a public port.
func (s *Server) publicAddress(port uint16) string {
	host := s.config.PublicHost
	if host == "" && s.config.FindPublicHost != nil {
		host = s.config.FindPublicHost()
	}
	return "tcp://" + net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// checkServices checks the names of all services that a node says it has.
func checkServices(request *framing.ProxyRequest) error {
	if len(request.Services) > framing.MaxServiceNames {
		return fmt.Errorf("%d service names are more than %d", len(request.Services), framing.MaxServiceNames)
	}
	for _, name := range request.Services {
		if err := framing.CheckServiceName(name); err != nil {
			return err
		}
	}
	if len(request.Services) > 0 && !slices.Contains(request.Services, request.Service) {
		return fmt.Errorf("the service %q is missing from the list of the node's services", request.Service)
	}
	return nil
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
			if p.Leave(old) {
				c.server.detach(old, p)
			}
		}
	}
}

// reportMove logs that the address of a service changed, and adds that to the answer.
func (c *nodeConn) reportMove(granted lease.Grant, response *framing.ProxyResponse) {
	if granted.Previous == 0 {
		return
	}
	response.PreviousAddress, response.PreviousReason = c.server.publicAddress(granted.Previous), granted.Why
	c.log.Warn("address changed", "change", response.PreviousAddress+" -> "+response.ProxyAddress, "service", granted.Service, "reason", granted.Why)
}
