// Package naming is about the names by which clients reach services: what a node asks its server for.
//
// It must not send anything.
package naming

import (
	"apquic/framing"
	"apquic/quicproxy/node/internal/reason"
)

// Who ends the TLS of clients that come for a name: values of ProxyRequest.tls.
const (
	None   = 0 // there is no name
	Passed = 1 // not the server
)

// Naming is what a service wants beside its port, or instead of it. The zero value: nothing.
type Naming struct {
	Domain    string // instead of a port
	PlainHTTP bool   // clients may come without TLS
	// TLS is who ends the TLS of clients. With IfAny a service with a port has a name only if the server gives some and
	// ends their TLS.
	TLS   uint32
	IfAny bool
}

// Server is what a server says about names.
type Server struct {
	Features framing.Features
	Domain   string // below which it gives names to services with a port; empty: to none
	EndsTLS  bool   // for these
}

// Ask completes a request, or says why it cannot be sent: a server that does not know names would lease a port.
func (n Naming) Ask(s Server, request *framing.ProxyRequest) error {
	tls := n.TLS
	switch {
	case n.Domain != "":
		tls = max(tls, Passed)
		request.WantedPort = 0
	case n.IfAny && (s.Domain == "" || !s.EndsTLS):
		return nil
	}
	if tls == None {
		return nil
	}
	if !s.Features.Has(framing.FeatureDomains) {
		return reason.NoDomains()
	}
	request.Domain, request.Tls, request.PlainHttp = n.Domain, tls, n.PlainHTTP
	return nil
}

// maxNameBytes is how many bytes of a ProxyRequest, which has 64 KiB, the names of all services may take.
const maxNameBytes = 32 << 10

// All returns the names of all services, that of the one which is asked for first, by which the server recognizes a
// renamed service; nil if they are too many to send.
func All(asked string, names []string) []string {
	all, size := []string{asked}, len(asked)
	for _, name := range names {
		if name != asked {
			all = append(all, name)
			size += len(name)
		}
	}
	if len(all) > framing.MaxServiceNames || size > maxNameBytes {
		return nil
	}
	return all
}
