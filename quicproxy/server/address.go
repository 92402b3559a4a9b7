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

// publicAddress is what nodes are told of a public port.
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
		return fmt.Errorf("%d names of services are more than %d", len(request.Services), framing.MaxServiceNames)
	}
	for _, name := range request.Services {
		if err := framing.CheckServiceName(name); err != nil {
			return err
		}
	}
	if len(request.Services) > 0 && !slices.Contains(request.Services, request.Service) {
		return fmt.Errorf("the service %q is not among the services of the node", request.Service)
	}
	return nil
}

// endForgotten ends what older connections of the node have of services that the node has no more: they were renamed
// or removed, and the connection, perhaps of a process that was killed, has not ended yet. It needs session.leases.
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

// tellMoved logs that a service has another address than before, and adds it to the answer.
func (c *nodeConn) tellMoved(granted lease.Grant, response *framing.ProxyResponse) {
	if granted.Previous == 0 {
		return
	}
	response.PreviousAddress, response.PreviousReason = c.server.publicAddress(granted.Previous), granted.Why
	c.log.Warn("address changed", "change", response.PreviousAddress+" -> "+response.ProxyAddress, "service", granted.Service, "reason", granted.Why)
}
