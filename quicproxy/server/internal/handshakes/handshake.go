package handshakes

import (
	"net/netip"
	"slices"
	"time"

	"apquic/quicproxy/internal/netaddr"
)

// Handshake is a connection that has not been admitted.
type Handshake struct {
	account *Account
	flow    *flow
	end     func() // nil: the server has not answered yet
}

// Begin counts a connection from an address; nil: there is no place for it. Done frees the place.
func (a *Account) Begin(from netip.AddrPort, now time.Time) *Handshake {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.flows[from], func(f *flow) bool { return f.handshake == nil })
	if i < 0 {
		return nil
	}
	f := a.flows[from][i]
	if !a.chargeLocked(f, handshakeCost+max(0, f.kept-honestlyKept), now) {
		return nil
	}
	if !a.rates.Allow(netaddr.Smallest(from.Addr()), now) { // last: who finds no place retries soon
		a.refundLocked(f, 0)
		return nil
	}
	f.since, f.datagrams = now, 1
	f.handshake = &Handshake{account: a, flow: f}
	return f.handshake
}

// Answered says that the server has answered the handshake, so that what came until now is no longer kept;
// from now on end ends the connection, without waiting.
func (h *Handshake) Answered(end func()) {
	h.account.mu.Lock()
	h.end = end
	h.account.mu.Unlock()
	h.Read()
}

// Read says that what came until now is no longer kept: the handshake is complete, or a message was read.
func (h *Handshake) Read() {
	h.account.mu.Lock()
	defer h.account.mu.Unlock()
	if f := h.flow; !f.over {
		h.account.refundLocked(f, handshakeCost)
		f.kept, f.overdrawn = 0, false
	}
}

// Overdrawn reports whether something was dropped because QUIC would have kept too much.
func (h *Handshake) Overdrawn() bool {
	h.account.mu.Lock()
	defer h.account.mu.Unlock()
	return h.flow.overdrawn
}

// Done says that the connection has ended, or was admitted. It may be called again.
func (h *Handshake) Done() {
	h.account.mu.Lock()
	defer h.account.mu.Unlock()
	h.account.dropLocked(h.flow)
}
