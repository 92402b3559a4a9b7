package quicproxy

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"apquic/internal/machine"
)

const (
	// Defaults of ServerConfig.
	defaultMaxClients           = 4096
	defaultMaxClientsPerAddress = 1024

	// Relays leave some descriptors alone: for sockets of the session, public listeners, the files. It is a part
	// of what there is and at least so many.
	descriptorReserve, minDescriptorReserve = 16, 64
	// addressShare is the part of all that one client address can have, whatever the services.
	addressShare = 4
)

var (
	errTooManyClients   = errors.New("the service has as many clients as it may have")
	errTooManyOfAddress = errors.New("the address has as many connections as it may have")
	errNoDescriptors    = errors.New("the server has as many public connections as its open files allow")
)

// isLimit tells errors that an operator should know of, since something may be wrong with the clients.
func isLimit(err error) bool {
	for _, limit := range []error{errTooManyClients, errTooManyOfAddress, errNoDescriptors, errTooManyWait} {
		if errors.Is(err, limit) {
			return true
		}
	}
	return false
}

// clientLimits bounds the public connections of a server: those of a lease, those of a client's address to a
// lease, and all together. What is above a limit is reset at once.
type clientLimits struct {
	perLease, perAddress, all int

	mu        sync.Mutex
	open      int
	ofLease   map[uint16]int // by public port
	ofClient  map[netip.Addr]int
	ofAddress map[clientKey]int
}

// clientKey is a client of a public port: an address, or a /64 in IPv6.
type clientKey struct {
	port   uint16
	client netip.Addr
}

func newClientLimits(perLease, perAddress int) *clientLimits {
	all := descriptorsForRelays()
	return &clientLimits{
		all: all, perLease: min(perLease, max(all/2, 1)), perAddress: perAddress,
		ofLease: make(map[uint16]int), ofClient: make(map[netip.Addr]int), ofAddress: make(map[clientKey]int),
	}
}

func descriptorsForRelays() int {
	descriptors := machine.Descriptors()
	return max(descriptors-max(descriptors/descriptorReserve, minDescriptorReserve), 1)
}

// admit counts a client of a public port until the function that it returns is called, or says why not.
func (l *clientLimits) admit(port uint16, client net.Addr) (leave func(), err error) {
	key := clientKey{port: port}
	if tcp, ok := client.(*net.TCPAddr); ok {
		key.client = networkOf(tcp.AddrPort().Addr().Unmap())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.open >= l.all:
		return nil, errNoDescriptors
	case l.ofLease[port] >= l.perLease:
		return nil, errTooManyClients
	case l.ofAddress[key] >= l.perAddress, l.ofClient[key.client] >= max(l.all/addressShare, 1):
		return nil, errTooManyOfAddress
	}
	l.open++
	l.ofLease[port]++
	l.ofAddress[key]++
	l.ofClient[key.client]++
	return func() { l.leave(key) }, nil
}

func (l *clientLimits) leave(key clientKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.ofLease[key.port]--; l.ofLease[key.port] == 0 {
		delete(l.ofLease, key.port)
	}
	if l.ofClient[key.client]--; l.ofClient[key.client] == 0 {
		delete(l.ofClient, key.client)
	}
	if l.ofAddress[key]--; l.ofAddress[key] == 0 {
		delete(l.ofAddress, key)
	}
}
