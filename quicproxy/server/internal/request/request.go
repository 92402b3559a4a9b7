// Package request reads what a node asks for one of its services. It trusts nothing in it and decides nothing:
// whether the node gets it is for the server and its leases.
package request

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/server/internal/canary"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/members"
)

// maxTLS is the last value of ProxyRequest.tls.
const maxTLS = 3

// transports are the values of ProxyRequest.transport.
var transports = [...]lease.Transport{lease.TCP, lease.TCP, lease.UDP, lease.TCPAndUDP}

// Read returns the lease that a request of a node is for, and who may visit, or the failure that answers it. has is what the
// node's connection can, and countries says that those of addresses are known.
func Read(r *framing.ProxyRequest, node certs.NodeID, has framing.Features, countries bool) (wanted lease.Request, rules quicproxy.Visitors, err error) {
	if r.WantedPort > math.MaxUint16 {
		return wanted, rules, &quicproxy.FailureError{Code: framing.ErrorPortOutOfRange, Text: fmt.Sprintf("there is no port %d", r.WantedPort)}
	}
	// One after the other: each relies on those before it.
	for _, check := range []func(*framing.ProxyRequest) error{checkNames, checkTransport(has), checkDomain, checkPrivate, checkCanary(has)} {
		if err := check(r); err != nil {
			return wanted, rules, failure.BadRequest(err)
		}
	}
	if rules, err = readVisitors(r, countries); err != nil {
		return wanted, rules, err
	}
	wanted = lease.Request{
		Key: lease.Key{Node: node, Service: r.Service}, Origin: r.OriginAddress, WantedPort: uint16(r.WantedPort),
		Transport: transports[r.Transport], Domain: r.Domain, Services: r.Services,
	}
	if r.Group != "" { // it has no service of one node's, and is written no more often than that of one node
		wanted.Key, wanted.Origin, wanted.Services = lease.Key{Service: r.Group}, "", nil
	}
	return wanted, rules, nil
}

// Offer returns what a request of a node says of the service.
func Offer(r *framing.ProxyRequest, node certs.NodeID) members.Offer {
	return members.Offer{
		Node: node, Service: r.Service, Movable: r.Movable, Unhealthy: r.Unhealthy, PlainHTTP: r.PlainHttp,
		Canary: every(r),
	}
}

// every is how often a request wants to know whether the service answers; 0: never.
func every(r *framing.ProxyRequest) time.Duration {
	return time.Duration(r.CanarySeconds) * time.Second
}

// DrainLevel is that of the line in the log which says that a node stops.
func DrainLevel(reason framing.DrainCode) slog.Level {
	if reason == framing.DrainLaneIdle {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func checkCanary(has framing.Features) func(*framing.ProxyRequest) error {
	return func(r *framing.ProxyRequest) error {
		switch every := every(r); {
		case every == 0:
			return nil
		case !has.Has(framing.FeatureCanaries):
			return errors.New("a node that knows no canaries cannot ask for them")
		case every < canary.Least || every > canary.Most:
			return fmt.Errorf("a service may be asked whether it answers every %v to %v, not every %v", canary.Least, canary.Most, every)
		case transports[r.Transport] == lease.UDP:
			return errors.New("over UDP nobody can say whether a service answers")
		}
		return nil
	}
}

// Attrs are a request in the log.
func Attrs(r *framing.ProxyRequest, more ...any) []any {
	attributes := append([]any{"service", r.Service}, more...)
	if r.Group != "" {
		attributes = append(attributes, "group", r.Group)
	}
	if r.Unhealthy {
		attributes = append(attributes, "unhealthy", true)
	}
	return append(attributes, "origin", r.OriginAddress)
}

func checkNames(r *framing.ProxyRequest) error {
	if err := framing.CheckServiceName(r.Service); err != nil {
		return err
	}
	if r.Group != "" {
		if err := framing.CheckServiceName(r.Group); err != nil {
			return fmt.Errorf("the group: %w", err)
		}
	}
	if r.OriginAddress != "" { // a program that accepts the connections itself sends none
		if _, _, err := framing.ParseOrigin(r.OriginAddress); err != nil {
			return err
		}
	}
	if len(r.Services) > framing.MaxServiceNames {
		return fmt.Errorf("%d service names are more than %d", len(r.Services), framing.MaxServiceNames)
	}
	for _, name := range r.Services {
		if err := framing.CheckServiceName(name); err != nil {
			return err
		}
	}
	if len(r.Services) > 0 && !slices.Contains(r.Services, r.Service) {
		return fmt.Errorf("the service %q is missing from the list of the node's services", r.Service)
	}
	return nil
}

func checkTransport(has framing.Features) func(*framing.ProxyRequest) error {
	return func(r *framing.ProxyRequest) error {
		switch {
		case r.Transport >= uint32(len(transports)):
			return fmt.Errorf("there is no transport %d", r.Transport)
		case transports[r.Transport].HasUDP() && !has.Has(framing.FeatureFlows):
			return errors.New("a node without flows cannot have a service over UDP")
		}
		return nil
	}
}

// checkPrivate checks what a request says about other nodes.
func checkPrivate(r *framing.ProxyRequest) error {
	switch {
	case !r.Private && len(r.AllowNodes) > 0:
		return errors.New("only a private service is for some nodes alone")
	case r.Private && (r.WantedPort != 0 || r.Domain != "" || r.Tls != 0 || transports[r.Transport] != lease.TCP):
		return errors.New("a private service has neither port nor domain, no name, and no UDP")
	case r.Private && r.Group != "":
		return errors.New("a private service is one node's, and not of a group")
	case r.Visitors != nil && (r.Private || r.Group != ""):
		return errors.New("who may visit a group is for the server to say, and who may connect to a private service for allow_nodes")
	case len(r.AllowNodes) > framing.MaxAllowNodes:
		return fmt.Errorf("%d nodes are more than the %d that may connect to a private service", len(r.AllowNodes), framing.MaxAllowNodes)
	}
	for _, node := range r.AllowNodes {
		if node == "" || len(node) > framing.MaxNodeName {
			return errors.New("an id or name of a node that is empty or too long")
		}
	}
	return nil
}

// checkDomain checks what a request says about a name. The Lessor checks a domain itself.
func checkDomain(r *framing.ProxyRequest) error {
	switch {
	case r.Domain == "" && r.Tls == 0 && r.PlainHttp:
		return errors.New("only a service with a name has HTTP")
	case r.Domain != "" && transports[r.Transport] != lease.TCP:
		return errors.New("a domain is reached over TCP only")
	case r.Domain == "" && r.Tls != 0 && r.Group != "":
		return errors.New("a group has no name of the server's own: those are of one node each")
	case r.Tls != 0 && transports[r.Transport] == lease.UDP:
		return errors.New("a name is reached over TCP only")
	case r.Tls > maxTLS:
		return fmt.Errorf("there is no way %d to end TLS", r.Tls)
	}
	return nil
}
