package vhost

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
)

// errPeeked ends the handshake that crypto/tls has begun.
var errPeeked = errors.New("the ClientHello is complete")

// TLS reads the ClientHello of a connection, and returns the name in it and all bytes that were read. They are
// to be sent on first. The caller has set a read deadline.
func TLS(client net.Conn) (name string, read []byte, err error) {
	r := &recorder{Conn: client}
	err = tls.Server(r, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name = hello.ServerName
			return nil, errPeeked
		},
	}).Handshake()
	_, foreign := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case foreign:
		return "", r.read, ErrForeign
	case !errors.Is(err, errPeeked):
		return "", r.read, fmt.Errorf("reading a ClientHello: %w", err)
	case name == "":
		return "", r.read, ErrNoName
	}
	return strings.ToLower(name), r.read, nil
}
