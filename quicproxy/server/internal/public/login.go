package public

import (
	"cmp"
	"errors"
	"fmt"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/server/internal/termination"
)

var errLoginDemanded = errors.New("visitors of the service have to log in, at its name")

// loginAt says whether visitors of a name have to log in here; password: by HTTP Basic.
func (s *Listeners) loginAt(name string) (demanded, password bool) {
	if s.config.Terminator == nil || name == "" {
		return false, false
	}
	return s.config.Terminator.Login(name)
}

// nameFor is what decides whether visitors of a service with a port have to log in: its name below the server's own
// domain, whether or not it wants that. One that can have none is like all others there; "-" is no label of a name.
func (s *Listeners) nameFor(key lease.Key) string {
	if s.config.Domain == "" || key.IsGroup() {
		return ""
	}
	return cmp.Or(s.NameOf(key), "-."+s.config.Domain)
}

// checkLogin refuses a request for a service whose visitors have to log in here, if they would not be asked.
func (s *Listeners) checkLogin(node certs.NodeID, request *framing.ProxyRequest, mode termination.Mode) error {
	name := request.Domain
	if name == "" && !request.Private && request.Group == "" {
		name = s.nameFor(lease.Key{Node: node, Service: request.Service})
	}
	demanded, password := s.loginAt(name)
	switch {
	case !demanded:
		return nil
	case mode != termination.EndsHTTP || request.Transport > 1:
		return refusal(framing.ErrorLoginDemanded, fmt.Sprintf("the operator of this server has visitors of %s log in, which needs that the server ends TLS and HTTP", name),
			`use tls "terminate" for an upstream that begins with http://, https:// or file:, and no UDP`)
	case password && request.AsksPassword:
		return refusal(framing.ErrorLoginDemanded, fmt.Sprintf("the operator of this server asks visitors of %s for a password, and so does the service: a request can have only one", name),
			"use oidc, or remove password from the service")
	}
	return nil
}

// checkEntrance refuses clients of a port that would come around the login at the name of its service.
func (p *Listener) checkEntrance() error {
	if demanded, _ := p.all.loginAt(p.all.nameFor(p.Key)); demanded {
		return errLoginDemanded
	}
	return nil
}
