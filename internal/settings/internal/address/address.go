// Package address understands addresses as people write them: those of services, hosts and listeners. An
// error says what is wrong with one, and what was probably meant.
//
// The package must not look anything up, connect to an address, or know which setting it stands in.
package address

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"apquic/certs"
	"apquic/internal/hint"
)

// ParseHost checks that s can be the host of an invitation and returns its one spelling.
func ParseHost(s string) (string, error) {
	// Only package certs knows what a host is.
	invitation, err := certs.ParseInvitation(certs.Invitation{Server: certs.NodeID{1}, Host: s, Port: 1}.String())
	if err != nil {
		return "", fmt.Errorf("%s is neither a host name nor an IP address", hint.Readable(s))
	}
	return invitation.Host, nil
}

// ParseHostHeader checks that s can be the Host of a request, a name or an IP address, perhaps with a port, and returns
// its one spelling.
func ParseHostHeader(s string) (string, error) {
	if host, port, err := net.SplitHostPort(s); err == nil && CheckSocket(s, "") == nil && host != "" {
		return net.JoinHostPort(host, port), nil
	}
	host, err := ParseHost(strings.Trim(s, "[]"))
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, err
}

// CheckSocket checks an address to listen on, with a port; its host may be missing. want says what belongs
// there, and ends the text of an error.
func CheckSocket(address, want string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s is not an address with a port; %s", hint.Readable(address), want)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s is not a port from 0 to 65535; %s", hint.Readable(port), want)
	}
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return nil
	}
	if _, err := ParseHost(host); err != nil {
		return fmt.Errorf("%w; %s", err, want)
	}
	return nil
}
