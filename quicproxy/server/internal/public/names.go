package public

import (
	"strings"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/server/internal/address"
	"apquic/quicproxy/server/internal/termination"
)

// isOwn reports whether a name is the server's own domain, or below it.
func (s *Listeners) isOwn(name string) bool {
	own := s.config.Domain
	return own != "" && (name == own || strings.HasSuffix(name, "."+own))
}

// ModeOf returns what a request asks to be done with clients that come for the name of its service, or why that cannot
// be.
func (s *Listeners) ModeOf(node certs.NodeID, request *framing.ProxyRequest) (termination.Mode, error) {
	mode, err := s.modeOf(node, request)
	if err == nil {
		err = s.checkLogin(node, request, mode)
	}
	return mode, err
}

func (s *Listeners) modeOf(node certs.NodeID, request *framing.ProxyRequest) (termination.Mode, error) {
	mode, name := termination.Mode(request.Tls), request.Domain
	switch {
	case name == "" && mode == 0:
		return termination.Nameless, nil
	case name == "" && s.config.Domain == "":
		return 0, refusal(framing.ErrorNoDomains, "this server has no names for services with a port", "give the service a domain, or no tls")
	case name != "" && s.isOwn(strings.TrimPrefix(name, "*.")):
		return 0, refusal(framing.ErrorBadDomain, "the names below "+s.config.Domain+" are the server's own", "leave out the domain: the service gets a name there")
	case name == "":
		if name = s.NameOf(lease.Key{Node: node, Service: request.Service}); name == "" {
			return termination.Nameless, nil
		}
	}
	if !mode.Ends() {
		return termination.Passed, nil
	}
	if s.config.Terminator == nil || !s.hasTLS() {
		return 0, refusal(framing.ErrorNoTermination, "this server does not end TLS",
			`use tls "node" or "pass", or ask the operator of the server for --acme or --certificates`)
	}
	if err := s.config.Terminator.Check(name); err != nil {
		return 0, refusal(framing.ErrorNoTermination, err.Error(), hint.Of(err))
	}
	return mode, nil
}

func refusal(code framing.ErrorCode, text, advice string) error {
	return &quicproxy.FailureError{Code: code, Text: text, Advice: advice}
}

// NameOf returns the name below the server's own domain that belongs to a service with a port; empty: none. It is
// no lease: whoever has the key has the name.
func (s *Listeners) NameOf(key lease.Key) string {
	label := address.Label(key)
	if s.config.Domain == "" || label == "" {
		return ""
	}
	return label + "." + s.config.Domain
}

// Offer says what is done with clients that come for the name of the service, before its next Attach. It returns the name.
func (p *Listener) Offer(mode termination.Mode) (name string) {
	if name = p.Domain; name == "" {
		name = p.all.NameOf(p.Key)
		if mode == termination.Nameless || p.all.atName(name) != p {
			name, mode = "", termination.Nameless
		}
	}
	before := ""
	p.change(func() {
		if p.mode.Ends() {
			before = p.name
		}
		p.name, p.mode = name, mode
	})
	switch t := p.all.config.Terminator; {
	case mode.Ends():
		t.Want(name, p.service.Node)
		if p.isClosed() { // meanwhile
			t.Forget(name, p.service.Node)
		}
	case before != "":
		t.Forget(before, p.service.Node)
	}
	return name
}

// takeNameLocked gives a listener its name below the server's own domain, unless a service of the same node has it,
// whose name differs in a dot or an underscore only. A group, which is no node's, has none. It needs mu.
func (s *Listeners) takeNameLocked(p *Listener) {
	if name := s.NameOf(p.Key); p.Port != 0 && !p.Key.IsGroup() && name != "" && s.names[name] == nil {
		s.names[name] = p
	}
}

// forgetName ends what takeNameLocked and Offer began.
func (s *Listeners) forgetName(p *Listener) {
	p.mu.Lock()
	name, mode := p.name, p.mode
	p.mu.Unlock()
	s.mu.Lock()
	if own := s.NameOf(p.Key); s.names[own] == p {
		delete(s.names, own)
	}
	s.mu.Unlock()
	if mode.Ends() && s.config.Terminator != nil {
		s.config.Terminator.Forget(name, p.service.Node)
	}
}

// atName returns the listener of the service with a port to which a name below the server's own domain belongs.
func (s *Listeners) atName(name string) *Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[name]
}

// Mode is what is done with clients that come for the name of the service.
func (p *Listener) Mode() termination.Mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

func (p *Listener) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// hasTLS reports whether clients can come with TLS.
func (s *Listeners) hasTLS() bool {
	for _, socket := range s.sharedSockets() {
		if socket.tls {
			return true
		}
	}
	return false
}
