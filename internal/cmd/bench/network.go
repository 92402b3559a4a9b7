package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"apquic/internal/cmd/bench/proc"
)

// network is where the programs of a trial run. The public client and the server of a tunnel are at one end,
// its node and the service at the other.
type network struct {
	server, home proc.Place
	// host is the server's address for nodes and for the public.
	host string
	// forward returns the address of a forwarded port of the home's router, without any tunnel; empty if
	// there is no router in between.
	forward func(service string) (public string, err error)
	// rebind gives the home another outside port, cut breaks the link for a time.
	rebind func() error
	cut    func(ctx context.Context, d time.Duration) error
	remove func()
}

// loopback has all programs on this machine, with nothing in between.
func loopback() *network {
	return &network{host: "127.0.0.1", remove: func() {}}
}

// Ports for programs that must be given one are below those that systems use for outgoing connections.
const firstPort, lastPort = 21000, 29000

// ports allocates port numbers for programs that must be given one.
type ports struct {
	mu   sync.Mutex
	last int
}

// free returns a port on which nobody listens, over TCP and UDP.
func (p *ports) free() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range lastPort - firstPort {
		p.last++
		port := firstPort + p.last%(lastPort-firstPort)
		if isFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free from %d to %d", firstPort, lastPort)
}

func isFree(port int) bool {
	address := net.JoinHostPort("", strconv.Itoa(port))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer listener.Close()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
