package termination

import (
	"crypto/tls"
	"net"
)

// Terminator ends TLS and HTTP for services that ask the server to. Its methods must not wait for others, except
// Serve, and may be called from any goroutine.
type Terminator interface {
	// Check returns why TLS cannot be ended for a domain, with a hint for people; nil: it can.
	Check(domain string) error
	// Want says that a node now has a domain for which TLS is to be ended, and may be repeated. Forget says that it
	// no longer has.
	Want(domain, node string)
	Forget(domain, node string)
	// TLS is the configuration for handshakes: of services that speak HTTP, or of others.
	TLS(http bool) *tls.Config
	// Challenge answers an authority's request for a path of a domain without TLS; ok: that is one.
	Challenge(domain, path string) (answer []byte, ok bool)
	// Login says whether visitors of a domain, or of a name that it stands for, have to log in here, which needs that
	// HTTP ends here; password: by HTTP Basic.
	Login(domain string) (demanded, password bool)
	// Serve serves HTTP to one client, a Visitor or a *tls.Conn around one, until its connection ends.
	Serve(client net.Conn)
}

// Mode says what a service has the server do with the clients that come for its name.
type Mode uint32

// Modes beyond Unknown are the values of ProxyRequest.tls, except that a domain is passed on by default.
const (
	Unknown  Mode = iota // the node has not said it since the server started
	Passed               // TLS is passed on
	EndsHTTP             // the server ends TLS and HTTP
	EndsTLS              // the server ends TLS, and passes the bytes on
	Nameless             // the service has no name, only a port
)

// Ends reports whether the server ends the TLS of clients.
func (m Mode) Ends() bool { return m == EndsHTTP || m == EndsTLS }
