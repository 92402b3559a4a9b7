package public

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
)

// maxParked bounds the clients of one lease that wait for their node. An address may have a quarter of them,
// and a network half. When all places are taken, the longest-waiting client of the largest network makes
// room.
const maxParked = 256

var (
	errTooManyWait = errors.New("too many connections already wait for the node")
	errClientLeft  = errors.New("the client left")
)

// parking is where the clients of a lease wait for their node. Its methods need the lock of its Listener.
type parking struct {
	clients map[*parked]struct{}
	places  *clients.Places // nil: no client waits
}

// parked is a client that waits. Its goroutine waits for its socket, to notice when the client leaves, so a
// read deadline on the socket wakes it.
type parked struct {
	client *Client
	until  time.Time
	socket syscall.RawConn // nil: whether the client left cannot be seen
	place  *clients.Place
	woken  chan struct{} // has room for one; used without a socket

	evicted atomic.Bool
}

// enterLocked makes a client wait.
func (p *parking) enterLocked(client *Client, until time.Time) (*parked, error) {
	if p.places == nil {
		p.places = clients.New(maxParked, maxParked, maxParked).OfOneNode()
		p.clients = make(map[*parked]struct{})
	}
	w := &parked{client: client, until: until, socket: waitable(client.Conn), woken: make(chan struct{}, 1)}
	place, err := p.places.Admit(clients.Service{}, netaddr.Endpoint(client.RemoteAddr()).Addr(), w.evict)
	if err != nil {
		return nil, errTooManyWait
	}
	w.place = place
	p.clients[w] = struct{}{}
	client.wait.Store(w)
	return w, nil
}

// leaveLocked ends the wait of a client, whose connection may then be read again.
func (p *parking) leaveLocked(w *parked) {
	delete(p.clients, w)
	w.client.wait.Store(nil)
	w.place.Leave()
	if len(p.clients) == 0 {
		p.places, p.clients = nil, nil
	}
	if w.socket != nil {
		w.client.SetReadDeadline(time.Time{})
	}
}

func (p *parking) wakeLocked() {
	for w := range p.clients {
		w.wake()
	}
}

// evict makes room for another client.
func (w *parked) evict() {
	w.evicted.Store(true)
	w.wake()
}

// wake ends wait, even one that has not begun, unless arm follows.
func (w *parked) wake() {
	if w.socket != nil {
		w.client.SetReadDeadline(time.Unix(1, 0))
	}
	wait.Signal(w.woken)
}

// arm clears an earlier wake.
func (w *parked) arm() {
	if w.socket != nil {
		w.client.SetReadDeadline(w.until)
	}
	select {
	case <-w.woken:
	default:
	}
}

// wait returns nil when woken, or why the client stops waiting.
func (w *parked) wait() error {
	left := false
	if !w.evicted.Load() && !w.client.evicted.Load() {
		left = w.waitForSocket()
	}
	switch {
	case w.client.evicted.Load():
		return errClientLeft // it was reset
	case w.evicted.Load():
		return errTooManyWait
	case left:
		return errClientLeft
	case !time.Now().Before(w.until):
		return ErrNodeAway
	}
	return nil
}

// waitForSocket reports whether the client left.
func (w *parked) waitForSocket() (left bool) {
	if w.socket == nil {
		timer := time.NewTimer(time.Until(w.until))
		defer timer.Stop()
		select {
		case <-w.woken:
		case <-timer.C:
		}
		return false
	}
	asked := len(w.client.Read) > 0
	err := w.socket.Read(func(fd uintptr) bool { return relay.HasLeft(fd, asked) })
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// waitable returns the socket of a connection if relay.HasLeft works on it; nil otherwise.
func waitable(conn net.Conn) syscall.RawConn {
	c, ok := conn.(syscall.Conn)
	if !ok || !relay.TellsLeft {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
