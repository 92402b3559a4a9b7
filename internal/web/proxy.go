package web

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"apquic/internal/login"
)

const (
	// idleUpstreams is how many idle connections to the upstream are kept, and idleUpstreamTime for how long.
	idleUpstreams, idleUpstreamTime = 32, 60 * time.Second
	bufferSize                      = 32 << 10
)

// rewrite makes the request for the upstream. What it is told of the client comes from here alone: headers of
// that kind which came from outside are removed.
func (s *Site) rewrite(p *httputil.ProxyRequest) {
	dropClientHeaders(p.Out.Header)
	if httpguts.HeaderValuesContainsToken(p.Out.Header["Upgrade"], "h2c") {
		delete(p.Out.Header, "Upgrade") // otherwise the client could send further requests that nobody sees here
		delete(p.Out.Header, "Connection")
	}
	login.Tell(p.In.Context(), placeOf(p.In), p.Out.Header)
	p.Out.URL.Scheme, p.Out.URL.Host = "http", "upstream" // which Dial knows
	p.Out.Host = cmp.Or(s.config.Host, p.In.Host)         // X-Forwarded-Host is the visitor's
	p.SetXForwarded()
	p.Out.Header.Set("Forwarded", forwarded(p.In))
}

// leadBack has redirects to the Host that the upstream was asked for lead to the one that the visitor asks for.
func (s *Site) leadBack(r *http.Response) error {
	to, err := r.Location()
	if err != nil || s.config.Host == "" || !strings.EqualFold(to.Host, s.config.Host) {
		return nil
	}
	asked := r.Request.Header // as rewrite has set it
	to.Scheme, to.Host = asked.Get("X-Forwarded-Proto"), asked.Get("X-Forwarded-Host")
	r.Header.Set("Location", to.String())
	return nil
}

// forwarded is the value of the header Forwarded (RFC 7239).
func forwarded(r *http.Request) string {
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	switch {
	case err != nil:
		client = "unknown"
	case strings.Contains(client, ":"):
		client = "\"[" + client + "]\""
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return fmt.Sprintf("for=%s;host=%q;proto=%s", client, r.Host, scheme)
}

// upstream passes requests on, those of gRPC over HTTP/2 without TLS, since it needs trailers and streams in both
// directions, all others over HTTP/1.1, which every service speaks.
type upstream struct{ http1, http2 *http.Transport }

func newUpstream(dial func(context.Context) (net.Conn, error)) *upstream {
	transport := func() *http.Transport {
		return &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableCompression: true, MaxIdleConns: idleUpstreams, MaxIdleConnsPerHost: idleUpstreams, IdleConnTimeout: idleUpstreamTime,
			MaxResponseHeaderBytes: maxHeader, HTTP2: windows(),
		}
	}
	u := &upstream{transport(), transport()}
	u.http2.Protocols = new(http.Protocols)
	u.http2.Protocols.SetUnencryptedHTTP2(true)
	return u
}

// RoundTrip implements http.RoundTripper.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	if isGRPC(r) {
		return u.http2.RoundTrip(r)
	}
	return u.http1.RoundTrip(r)
}

// isGRPC reports whether a request is of gRPC, of which gRPC-Web is none: that is made for HTTP/1.1.
func isGRPC(r *http.Request) bool {
	kind, found := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	return found && !strings.HasPrefix(kind, "-")
}

func (u *upstream) close() {
	u.http1.CloseIdleConnections()
	u.http2.CloseIdleConnections()
}

// buffers are reused by requests, one after the other.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

func (b *buffers) Get() []byte { return b.pool.Get().(*[bufferSize]byte)[:] }

func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
