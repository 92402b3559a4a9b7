// Package netmon reports when the network of this machine may have changed: an interface, an address, a
// route.
//
// It must not know about QUIC and decides nothing; callers look for themselves, for instance with Source.
package netmon

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	// settle is how long changes are collected before they are reported, because they come in bursts.
	settle = 100 * time.Millisecond
	// rest is the least time between two reports, because on some machines routes change all the time.
	rest = time.Second
	// pollEvery is how often addresses are compared where the system does not report changes.
	pollEvery = 5 * time.Second
)

// Watch calls changed soon after each change of the network, one call at a time, until ctx ends.
func Watch(ctx context.Context, changed func()) {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan struct{}, 1) // room for one: another would say nothing new
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
		select { // an address that vanishes and returns within a moment does not matter
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

// poll compares the addresses of this machine periodically.
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

// Source is the local address from which packets to a remote one are now sent; the zero Addr if there is no
// route. Nothing is sent.
func Source(to netip.AddrPort) netip.Addr {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
