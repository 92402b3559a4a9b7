// Package naming is about the names by which clients reach services: what a node asks its server for.
//
// It must not send anything.
package naming

import "apquic/framing"

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
	// AsksPassword says that visitors are asked for one.
	AsksPassword bool
}

// Server is what a server says about names.
type Server struct {
	Domain  string // below which it gives names to services with a port; empty: to none
	EndsTLS bool   // for these
}

// Ask completes a request.
func (n Naming) Ask(s Server, request *framing.ProxyRequest) {
	tls := n.TLS
	switch {
	case n.Domain != "":
		tls = max(tls, Passed)
		request.WantedPort = 0
	case n.IfAny && (s.Domain == "" || !s.EndsTLS):
		return
	}
	if tls != None {
		request.Domain, request.Tls, request.PlainHttp, request.AsksPassword = n.Domain, tls, n.PlainHTTP, n.AsksPassword
	}
}
