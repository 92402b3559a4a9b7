// Package address says where the public reaches a lease, as nodes are told.
//
// It must not decide who has what.
package address

import (
	"net"
	"strconv"

	"apquic/lease"
)

// Public is where the public reaches the server.
type Public struct {
	Host string
	Find func() string // the host, if Host is empty; may be nil
	// HTTP and HTTPS are the sockets for domains; nil: there is none.
	HTTP, HTTPS net.Listener
}

// Of is the address of a lease as a URI: tcp://host:port, or https://name.
func (p *Public) Of(transport lease.Transport, e lease.Endpoint) string {
	if e.Domain != "" {
		return p.ofDomain(e.Domain)
	}
	host := p.Host
	if host == "" && p.Find != nil {
		host = p.Find()
	}
	return transport.String() + "://" + net.JoinHostPort(host, strconv.Itoa(int(e.Port)))
}

// ofDomain is where clients of a domain go: a URL.
func (p *Public) ofDomain(domain string) string {
	scheme, usual, socket := "https", 443, p.HTTPS
	if socket == nil {
		scheme, usual, socket = "http", 80, p.HTTP
	}
	if socket != nil { // otherwise the domain was leased before the server's last start
		if address, ok := socket.Addr().(*net.TCPAddr); ok && address.Port != usual {
			domain = net.JoinHostPort(domain, strconv.Itoa(address.Port))
		}
	}
	return scheme + "://" + domain
}
