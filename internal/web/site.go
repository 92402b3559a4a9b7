package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"apquic/internal/domain"
	"apquic/internal/login"
)

const (
	// Cost is how much memory a connection costs, about: TLS, its goroutines, their buffers.
	Cost = 128 << 10
	// headerTimeout bounds the TLS handshake, and the time for the head of a request; idleTimeout the pause
	// between requests.
	headerTimeout, idleTimeout = 10 * time.Second, 90 * time.Second
	// maxFields bounds the fields of a head beside its bytes: each costs 200 bytes here, even if it has four.
	maxHeader, maxFields = 64 << 10, 256
	// Of HTTP/2: how many requests of a connection, how much of their bodies, and of the answers to them, may wait for
	// the other side, and the largest frame, which needs a buffer even if it does not come.
	maxStreams, maxStreamBuffer, maxConnBuffer, maxFrame = 100, 256 << 10, 512 << 10, 16 << 10
)

// Config says what a Site consists of; fields are required unless it says otherwise. A Site of visitors alone needs
// neither Domain nor Dial nor GetCertificate, one that is Plain needs neither Domain nor GetCertificate.
type Config struct {
	// Domain is the name of the site, or *.rest; requests for others are refused.
	Domain string
	// Except are names that *.rest would stand for, if they were not other sites; may be empty.
	Except []string
	// Visitors decides who may visit the site; nil: everybody.
	Visitors *login.Guard
	// VisitorsOf does so by the name that they come for; nil, or returning nil: as Visitors says.
	VisitorsOf func(name string) *login.Guard
	// Plain says that clients without TLS may ask for any name.
	Plain bool
	// Host is what the upstream is asked for; empty: what the client asks for.
	Host string
	// Dial connects to the upstream.
	Dial func(ctx context.Context) (net.Conn, error)
	// GetCertificate chooses a certificate; see tls.Config. nil: TLS has ended before.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Protocols are those of ALPN that GetCertificate wants beside HTTP; may be empty.
	Protocols []string
	Log       *slog.Logger
}

// Site serves the clients of a domain.
type Site struct {
	config   Config
	handler  http.Handler // for requests that are for this site
	server   *http.Server
	requests requests
	upstream *upstream
	domain   atomic.Pointer[string]
}

// New makes a Site.
func New(config Config) *Site {
	s := &Site{config: config, upstream: newUpstream(config.Dial)}
	s.SetDomain(config.Domain)
	quiet := slog.NewLogLogger(config.Log.Handler(), slog.LevelDebug) // strangers can cause these lines
	s.handler = &httputil.ReverseProxy{
		Rewrite: s.rewrite, ModifyResponse: s.answered, Transport: s, FlushInterval: -1, ErrorLog: quiet, ErrorHandler: s.failed, BufferPool: newBuffers(),
	}
	if config.Visitors != nil {
		s.handler = config.Visitors.Handler(s.handler)
	}
	s.server = &http.Server{
		Handler: s, BaseContext: withVisit, ConnContext: withEnded, ErrorLog: quiet, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		TLSConfig: &tls.Config{
			GetCertificate: config.GetCertificate, MinVersion: tls.VersionTLS12, NextProtos: append([]string{"h2", "http/1.1"}, config.Protocols...),
		},
		HTTP2: windows(),
	}
	s.server.Protocols = new(http.Protocols)
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetHTTP2(true)
	s.server.Protocols.SetUnencryptedHTTP2(config.Plain || config.GetCertificate == nil) // gRPC of clients whose TLS ended before
	if config.Visitors != nil {
		config.Visitors.Demand(s.server.TLSConfig)
	}
	return s
}

// windows bound what clients and upstreams send over HTTP/2.
func windows() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: maxStreamBuffer, MaxReceiveBufferPerConnection: maxConnBuffer, MaxReadFrameSize: maxFrame,
	}
}

// SetDomain gives the site another name.
func (s *Site) SetDomain(domain string) { s.domain.Store(&domain) }

// Serve serves the connections of a listener until ctx ends; then those without a request end, and the others
// with their requests, until patience is over, too.
func (s *Site) Serve(ctx, patience context.Context, listener net.Listener) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		if s.server.Shutdown(patience) != nil {
			s.server.Close()
		}
	})
	err := s.server.Serve(tlsListener{listener, s.server.TLSConfig})
	if !stop() {
		<-stopped
	}
	s.upstream.close()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("web: %w", err)
}

// LeaveTime is how long after Leave a new client may be about to make its first request.
const LeaveTime = headerTimeout

// Leave has clients go to the site that follows this one: their connections end when they are idle, or with the request
// that runs, or their first one. When the context of Serve ends instead, a client whose first request is on its way
// gets no answer.
func (s *Site) Leave() { s.server.SetKeepAlivesEnabled(false) }

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if tooMany(r.Header) {
		r.Header = nil // the request stays for as long as the client sends its body
		http.Error(w, "The request has too many header fields.", http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	end, ok := s.take(r)
	if !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "The site, or your address, has as many requests as it may have.", http.StatusServiceUnavailable)
		return
	}
	defer end()
	if r.TLS == nil && endedBefore(r) {
		r.TLS = new(tls.ConnectionState) // of which nothing but that is known
	}
	if !s.isFor(r) {
		http.Error(w, "This is another site.", http.StatusMisdirectedRequest)
		return
	}
	handler := s.handler
	if guard := s.guardOf(r); guard != nil {
		handler = guard.Handler(handler)
	}
	handler.ServeHTTP(w, r)
}

// guardOf is what VisitorsOf says: for the name of the handshake, if there is one, since that has demanded something, too.
func (s *Site) guardOf(r *http.Request) *login.Guard {
	switch {
	case s.config.VisitorsOf == nil:
		return nil
	case r.TLS != nil && r.TLS.ServerName != "":
		return s.config.VisitorsOf(strings.ToLower(r.TLS.ServerName))
	}
	return s.config.VisitorsOf(nameOf(r.Host))
}

// answered refuses answers that cost too much, and has others lead back here.
func (s *Site) answered(r *http.Response) error {
	if tooMany(r.Header) {
		return fmt.Errorf("the answer has more than %d header fields", maxFields)
	}
	return s.leadBack(r)
}

func tooMany(header http.Header) bool {
	n := 0
	for _, values := range header {
		n += len(values)
	}
	return n > maxFields
}

// isFor reports whether a request is for this site. Over TLS it must be for the name of the handshake: clients
// use a connection for all names that a certificate has, and each may demand something else of its visitors.
func (s *Site) isFor(r *http.Request) bool {
	if s.config.Plain && r.TLS == nil {
		return true
	}
	name := nameOf(r.Host)
	sameName := r.TLS == nil || r.TLS.ServerName == "" || strings.EqualFold(r.TLS.ServerName, name)
	return sameName && domain.Covers(s.domainOf(r), name) && !slices.Contains(s.config.Except, name)
}

// failed answers a request that could not be passed on.
func (s *Site) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil { // the client is still there
		s.config.Log.Debug("a request could not be passed on", "domain", *s.domain.Load(), "client", r.RemoteAddr, "err", err)
	}
	if visitOf(r) != nil {
		w.Header().Set("Connection", "close") // over the next one the visitor comes to whoever has the name then
	}
	http.Error(w, "The service behind this site does not answer.", http.StatusBadGateway)
}

// nameOf is the name in a Host header, without its port and the dot at its end.
func nameOf(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return strings.ToLower(strings.TrimSuffix(cmp.Or(name, host), "."))
}

// tlsListener ends TLS for the clients that speak it.
type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept implements net.Listener. The handshake is that of the server's goroutine for the connection.
func (l tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if plain, ok := c.(interface{ TLS() bool }); ok && !plain.TLS() {
		return c, nil
	}
	return tls.Server(c, l.config), nil
}
