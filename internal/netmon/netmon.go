// Package netmon tells when the network of this machine may have changed: an interface, an address, a route.
//
// It knows nothing of QUIC and decides nothing; whoever is told looks for himself, for instance with Source.
package netmon

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	// settle is how long changes are collected before they are told: they come in bursts.
	settle = 100 * time.Millisecond
	// rest is the least time between two calls: on some machines routes change all the time.
	rest = time.Second
	// pollEvery is how often the addresses are compared where the system does not tell.
	pollEvery = 5 * time.Second
)

// Watch calls changed soon after each change of the network, one call at a time, until ctx ends.
func Watch(ctx context.Context, changed func()) {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan struct{}, 1) // room for one: a second one says nothing new
	done := make(chan struct{})
	go func() {
		defer close(done)
		if subscribe(ctx, events) != nil {
			poll(ctx, events)
		}
	}()
	defer func() { cancel(); <-done }()
	for {
		select {
		case <-events:
		case <-ctx.Done():
			return
		}
		select { // an address that goes and comes again within a moment concerns nobody
		case <-time.After(settle):
		case <-ctx.Done():
			return
		}
		select {
		case <-events:
		default:
		}
		changed()
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return
		}
	}
}

func tell(events chan<- struct{}) {
	select {
	case events <- struct{}{}:
	default:
	}
}

// poll compares the addresses of this machine again and again.
func poll(ctx context.Context, events chan<- struct{}) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for before := addresses(); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if now := addresses(); now != before {
			before = now
			tell(events)
		}
	}
}

func addresses() string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	var text strings.Builder
	for _, address := range all {
		text.WriteString(address.String())
		text.WriteByte(' ')
	}
	return text.String()
}

// Source is the address of this machine from which packets go to a remote one now; the zero Addr if there is
// no way to it. Nothing is sent.
func Source(to netip.AddrPort) netip.Addr {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
