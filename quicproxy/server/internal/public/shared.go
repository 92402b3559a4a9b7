package public

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"apquic/internal/domain"
	"apquic/lease"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/server/internal/descriptors"
	"apquic/quicproxy/server/internal/termination"
	"apquic/quicproxy/server/internal/vhost"
)

var (
	errUnknownName = errors.New("nobody has the domain")
	errNoMemory    = errors.New("there is no memory for connections whose domain is not known yet")
	errRedirected  = errors.New("the client was answered, mostly sent to https")
)

const unknownName = "There is no site %.255q here.\n\nIf it is yours: check that its node is running, and that its service has this domain.\n"

// peekTimeout bounds the time that a client may take until its domain is known.
const peekTimeout = 10 * time.Second

// sharedSocket takes the clients of all domains, for TLS or for HTTP, until it is known which one they are for.
type sharedSocket struct {
	net.Listener
	all *Listeners
	tls bool
	// service is what counts clients until then, so that they cannot take the places of a real service.
	service clients.Service
}

// Share takes the clients of all domains from a socket until Stop. It needs a place for its descriptor.
func (s *Listeners) Share(listener net.Listener, tls bool) error {
	if !s.config.Clients.Reserve(1) {
		return descriptors.None(s.log, noPort)
	}
	socket := &sharedSocket{Listener: listener, all: s, tls: tls, service: clients.Service{Name: "http"}}
	if tls {
		socket.service.Name = "https"
	}
	s.mu.Lock()
	s.shared = append(s.shared, socket)
	s.mu.Unlock()
	s.accepting.Go(func() { s.accept(listener, socket.admit, socket.attr()) })
	return nil
}

// httpsPort is the port for TLS; 0: there is none.
func (s *Listeners) httpsPort() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, socket := range s.shared {
		if address, ok := socket.Addr().(*net.TCPAddr); ok && socket.tls {
			return address.Port
		}
	}
	return 0
}

// named returns the listener of the domain that stands for a name: the name itself, or its wildcard; or that of the
// service with a port that has the name below the server's own domain.
func (s *Listeners) named(name string) *Listener {
	if domain.Check(name) != nil {
		return nil // above all, a wildcard stands for names, not for any text
	}
	if s.isOwn(name) {
		if p := s.atName(name); p != nil && p.Mode() != termination.Nameless {
			return p
		}
		return nil
	}
	if p := s.At(lease.Endpoint{Domain: name}); p != nil {
		return p
	}
	wildcard, ok := domain.Wildcard(name)
	if !ok {
		return nil
	}
	return s.At(lease.Endpoint{Domain: wildcard})
}

func (f *sharedSocket) attr() slog.Attr { return slog.String("port", f.service.Name) }

// admit serves a client, or resets it if there are too many.
func (f *sharedSocket) admit(c *Client) {
	c.TLS = f.tls
	if f.all.place(c, f.service, f.attr(), f.refuse) {
		f.all.serving.Go(func() {
			defer c.Place.Leave()
			f.serve(c)
		})
	}
}

// refuse resets a client and logs why.
func (f *sharedSocket) refuse(client *Client, err error) { f.all.refuse(client, f.attr(), err) }

// serve finds out which domain a client is for, and has its listener serve it.
func (f *sharedSocket) serve(client *Client) {
	p, err := f.find(client)
	switch {
	case err == nil:
	case errors.Is(err, errRedirected):
		f.all.answered.Add(1)
		return
	default:
		f.refuse(client, err)
		return
	}
	err = p.welcome(client)
	if err == nil {
		err = client.Place.Move(p.clientsOf())
	}
	if err != nil {
		p.refuse(client, err)
		return
	}
	p.clientCame(1)
	defer p.clientCame(-1)
	p.serveNamed(client)
}

// serveNamed serves a client that came for the name of a service, once it is known who ends its TLS: after a start of
// the server only when the node is back.
func (p *Listener) serveNamed(client *Client) {
	if p.Mode() == termination.Unknown {
		to, err := p.route(client, time.Now().Add(p.all.Park()), nil)
		switch {
		case errors.Is(err, errClientLeft):
			client.Close()
			return
		case err != nil:
			p.refuse(client, err)
			return
		}
		p.left(to.member, false) // serve chooses again
	}
	if err := p.gate.Allows(client.from()); err != nil {
		p.refuse(client, err) // it came before the rules were known
		return
	}
	switch mode := p.Mode(); {
	case mode == termination.EndsHTTP, mode == termination.EndsTLS && client.TLS:
		p.end(client, mode)
	case mode == termination.Nameless:
		p.refuse(client, errUnknownName)
	default:
		p.serve(client)
	}
}

// find returns the listener of the domain that a client is for. Otherwise the client was answered, except one
// that did not say in time what it wants. It costs memory only while this lasts.
func (f *sharedSocket) find(client *Client) (*Listener, error) {
	account, leave := f.all.config.Memory.Open(netaddr.Endpoint(client.RemoteAddr()).Addr())
	defer leave()
	peek := &peeking{client: client}
	holding := account.Open(peek)
	defer holding.Close()
	if holding.Take(vhost.Cost, 0) == 0 {
		return nil, errNoMemory
	}
	client.SetReadDeadline(time.Now().Add(peekTimeout))
	defer f.all.onStop(func() { client.SetReadDeadline(time.Unix(1, 0)) })()
	find := f.findHTTP
	if f.tls {
		find = f.findTLS
	}
	p, err := find(client)
	switch {
	case peek.ended.Load():
		return nil, errNoMemory
	case err == nil:
		client.SetReadDeadline(time.Time{})
	}
	return p, err
}

func (f *sharedSocket) findTLS(client *Client) (*Listener, error) {
	name, read, err := vhost.TLS(client.Conn)
	client.Name, client.Read = name, read
	if err == nil {
		if p := f.all.named(name); p != nil {
			return p, nil
		}
		err = errUnknownName
	}
	switch {
	case errors.Is(err, vhost.ErrForeign):
		vhost.Finish(client.Conn, vhost.BadRequest(read, true))
	case errors.Is(err, errUnknownName), errors.Is(err, vhost.ErrNoName):
		vhost.Finish(client.Conn, vhost.UnrecognizedName)
	}
	return nil, err
}

func (f *sharedSocket) findHTTP(client *Client) (*Listener, error) {
	name, request, read, err := vhost.HTTP(client.Conn)
	client.Name, client.Read = name, read
	var p *Listener
	if err == nil {
		if p = f.all.named(name); p == nil {
			err = errUnknownName
		}
	}
	switch {
	case errors.Is(err, errUnknownName), errors.Is(err, vhost.ErrNoName):
		vhost.Finish(client.Conn, vhost.Page(request, http.StatusNotFound, fmt.Sprintf(unknownName, name)))
	case errors.Is(err, vhost.ErrForeign):
		vhost.Finish(client.Conn, vhost.BadRequest(read, false))
	}
	if err == nil && f.all.answersChallenge(client, name, request) { // wherever the authority is
		return nil, errRedirected
	}
	if err == nil {
		err = p.gate.Allows(client.from())
		p.gate.Count(err)
	}
	if err != nil {
		return nil, err
	}
	if port := f.all.httpsPort(); port > 0 && !p.servesPlainHTTP() {
		vhost.Finish(client.Conn, vhost.Redirect(request, name, port))
		return nil, errRedirected
	}
	return p, nil
}

// peeking is a client whose domain is not known yet, as the owner of memory.
type peeking struct {
	client *Client
	ended  atomic.Bool
}

// EndForMemory implements the holder interface of package carrier.
func (p *peeking) EndForMemory(_ *memory.Holding, log *slog.Logger) {
	log.Warn("a public connection was reset before its domain was known because the memory budget is used up", "client", p.client.RemoteAddr())
	p.ended.Store(true)
	relay.ResetTCP(p.client.Conn)
}

// servesPlainHTTP reports whether clients without TLS are passed on.
func (p *Listener) servesPlainHTTP() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members.PlainHTTP()
}
