package public

import (
	"log/slog"
	"net"
	"slices"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/visitors"
)

// BindPrivate returns the listener of a service that has neither port nor domain, and whose clients are other nodes:
// those that allowed names, by id or name. It returns nil if the node already has most private services, or at the
// end. Nothing is stored; UnbindPrivate ends it.
func (s *Listeners) BindPrivate(key lease.Key, allowed []string, most int) *Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.private[key.Node][key.Service]
	if p == nil {
		if s.ended || len(s.private[key.Node]) >= most {
			return nil
		}
		p = &Listener{all: s, Key: key, private: true, service: clients.Service{Node: key.Node.String(), Name: key.Service}}
		p.gate = visitors.NewGate(quicproxy.Visitors{}, nil) // the node that has the service decides
		if s.private[key.Node] == nil {
			s.private[key.Node] = make(map[string]*Listener)
		}
		s.private[key.Node][key.Service] = p
	}
	p.change(func() { p.allowed = allowed })
	return p
}

// UnbindPrivate ends a private service, if there is one. Running relays go on.
func (s *Listeners) UnbindPrivate(key lease.Key) {
	s.mu.Lock()
	p := s.private[key.Node][key.Service]
	s.rememberLocked(p)
	if delete(s.private[key.Node], key.Service); len(s.private[key.Node]) == 0 {
		delete(s.private, key.Node)
	}
	s.mu.Unlock()
	if p != nil {
		p.close()
	}
}

// Private returns the listener of a private service to which a node may connect that has an id, and perhaps a name;
// nil: there is none, or it may not.
func (s *Listeners) Private(key lease.Key, id certs.NodeID, name string) *Listener {
	s.mu.Lock()
	p := s.private[key.Node][key.Service]
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == key.Node || slices.Contains(p.allowed, id.String()) || name != "" && slices.Contains(p.allowed, name) {
		return p
	}
	return nil
}

// IsPrivate reports whether the listener is one of BindPrivate.
func (p *Listener) IsPrivate() bool { return p.private }

// Attr names the listener in the log.
func (p *Listener) Attr() slog.Attr {
	if p.private {
		return slog.String("private", p.Key.Service)
	}
	return p.Endpoint.Attr()
}

// Serve serves a client that did not come to a socket, from an address, until it has left. nodeName is what the server
// calls the node; may be empty.
func (p *Listener) Serve(conn net.Conn, from net.Addr, nodeName string) {
	c := &Client{Conn: conn, NodeName: nodeName, address: from}
	if p.all.place(c, p.service, p.Attr(), p.refuse) {
		defer c.Place.Leave()
		p.clientCame(1)
		defer p.clientCame(-1)
		p.serve(c)
	}
}
