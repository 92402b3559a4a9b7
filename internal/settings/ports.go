package settings

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"apquic/framing"
	"apquic/lease"
)

// maxServicePorts bounds the ports of a service: each of them is one of its own, which is asked for alone.
const maxServicePorts = 1024

// portService is a service as a file has it: one, or one for each port.
type portService struct {
	Service
	ranged bool            // ports are given; Upstream has no port
	ports  lease.PortRange // the same upstream and public
}

// all returns the services that it stands for: those of ports are called NAME-PORT.
func (s *portService) all() []Service {
	if !s.ranged {
		return []Service{s.Service}
	}
	network, host, _ := strings.Cut(s.Upstream, "://")
	services := make([]Service, 0, s.ports.Size())
	for port := range s.ports.All() {
		number := strconv.Itoa(int(port))
		one := s.Service
		one.Name, one.Upstream, one.PublicPort = s.Name+"-"+number, framing.FormatOrigin(network, net.JoinHostPort(host, number)), port
		services = append(services, one)
	}
	return services
}

// parseServicePorts reads the ports of a service.
func parseServicePorts(s string) (lease.PortRange, error) {
	ports, err := lease.ParsePortRange(s)
	if err == nil && ports.Size() > maxServicePorts {
		err = fmt.Errorf("these are %d ports, and a service has at most %d", ports.Size(), maxServicePorts)
	}
	return ports, err
}
