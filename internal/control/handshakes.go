package control

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

const (
	// handshakeBurst is how many TLS handshakes an address makes at once, and handshakeRate how many a second after that: a
	// browser makes six and keeps them, a script one for each question.
	handshakeBurst, handshakeRate = 64, 8
	// handshakeBurstOfAll and handshakeRateOfAll are those of all addresses together but the owner's: a few percent of a core.
	handshakeBurstOfAll, handshakeRateOfAll = 256, 64
	// maxOwners is how many networks are remembered as the owner's.
	maxOwners = 16
)

// handshakes is a listener that resets connections before they cost a TLS handshake, if others make too many. One
// goroutine calls Accept.
type handshakes struct {
	net.Listener
	log  *slog.Logger
	each *tries
	all  *rate.Limiter
	told rate.Sometimes

	mu     sync.Mutex
	owners []netip.Prefix // networks of the owner, the last one last
}

func newHandshakes(l net.Listener, log *slog.Logger) *handshakes {
	return &handshakes{
		Listener: l, log: log, each: newTries(handshakeRate, handshakeBurst), all: rate.NewLimiter(handshakeRateOfAll, handshakeBurstOfAll),
		told: rate.Sometimes{Interval: toldEvery},
	}
}

// Accept returns the next connection that may begin a handshake.
func (h *handshakes) Accept() (net.Conn, error) {
	for {
		conn, err := h.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if h.may(network(conn.RemoteAddr().String())) {
			return conn, nil
		}
		h.told.Do(func() {
			h.log.Warn("too many TLS connections to the admin address: some are reset", "from", conn.RemoteAddr().String())
		})
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) // leaves nothing behind
		}
		conn.Close()
	}
}

// may counts a handshake unless it is one too many.
func (h *handshakes) may(from netip.Prefix) bool {
	if !h.each.may(from) || !h.isOwner(from) && !h.all.Allow() {
		return false
	}
	h.each.count(from)
	return true
}

// cameOwner notes where the owner is: a flood from elsewhere does not keep out whoever comes from there.
func (h *handshakes) cameOwner(from netip.Prefix) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.owners); n > 0 && h.owners[n-1] == from {
		return
	}
	h.owners = append(slices.DeleteFunc(h.owners, func(p netip.Prefix) bool { return p == from }), from)
	if len(h.owners) > maxOwners {
		h.owners = slices.Delete(h.owners, 0, 1)
	}
}

func (h *handshakes) isOwner(from netip.Prefix) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.owners, from)
}
