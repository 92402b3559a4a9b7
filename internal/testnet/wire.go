package testnet

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// wire is what both ends of a connection share. changed is signalled at every change.
type wire struct {
	mu      sync.Mutex
	changed sync.Cond
}

// newTCPPair connects local with remote, which sees it as seenAs.
func newTCPPair(n *Network, local, seenAs, remote netip.AddrPort) (dialed, accepted *tcpConn) {
	w := new(wire)
	w.changed.L = &w.mu
	address := net.TCPAddrFromAddrPort
	dialed = &tcpConn{network: n, wire: w, local: address(local), remote: address(remote)}
	accepted = &tcpConn{network: n, wire: w, local: address(remote), remote: address(seenAs)}
	dialed.peer, accepted.peer = accepted, dialed
	return dialed, accepted
}

// deadline is a time that wakes those who wait for a change of the wire; the zero time never comes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) set(at time.Time, w *wire) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.timer = at, nil
	// A deadline in the past wakes when it is set, because setting it broadcasts. Its timer would run at
	// once, inside this call, and Go 1.26's race detector occasionally crashes on such a timer in a synctest
	// bubble.
	if wait := time.Until(at); wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed.Broadcast()
		})
	}
}
