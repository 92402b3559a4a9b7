package public

import (
	"errors"
	"sync/atomic"
	"time"

	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/doze"
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

// parked is a client that waits.
type parked struct {
	doze.Doze
	client *Client
	place  *clients.Place

	evicted atomic.Bool
}

// enterLocked makes a client wait.
func (p *parking) enterLocked(client *Client, until time.Time) (*parked, error) {
	if p.places == nil {
		p.places = clients.New(maxParked, maxParked, maxParked).OfOneNode()
		p.clients = make(map[*parked]struct{})
	}
	w := &parked{client: client, Doze: doze.New(client.Conn, until)}
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
	w.End()
}

func (p *parking) wakeLocked() {
	for w := range p.clients {
		w.Wake()
	}
}

// evict makes room for another client.
func (w *parked) evict() {
	w.evicted.Store(true)
	w.Wake()
}

// wait returns nil when woken, or why the client stops waiting.
func (w *parked) wait() error {
	left := false
	if !w.evicted.Load() && !w.client.evicted.Load() {
		left = w.Wait(len(w.client.Read) > 0)
	}
	switch {
	case w.client.evicted.Load():
		return errClientLeft // it was reset
	case w.evicted.Load():
		return errTooManyWait
	case left:
		return errClientLeft
	case !time.Now().Before(w.Until):
		return ErrNodeAway
	}
	return nil
}
