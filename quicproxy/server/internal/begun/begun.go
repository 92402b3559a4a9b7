// Package begun has the relays that began on one connection of a node.
//
// It must not know the connection.
package begun

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"apquic/certs"
	"apquic/quicproxy/access"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/server/internal/public"
)

// Relay is that of a public connection.
type Relay struct {
	*relay.Relay
	Port *public.Listener
	Away atomic.Bool // given up because the node did not answer
}

// Ended says what there is to say of a relay that has ended, to a node with a name.
func (r *Relay) Ended(client *public.Client, node certs.NodeID, name string) access.Relay {
	told := access.Relay{
		Node: node, Name: name, Service: r.Port.Key.Service, Port: r.Port.Port, Domain: cmp.Or(client.Name, r.Port.Domain), Client: client.RemoteAddr().String(),
		Begun: r.Begun(), Lasted: time.Since(r.Begun()), FirstByte: r.FirstByte(), In: r.ToStream(), Out: r.ToTCP(), Resumed: r.Stream().Resumed(), End: r.End(),
	}
	if r.Away.Load() {
		told.End = "away"
	}
	return told
}

// Relays are those that run.
type Relays struct {
	mu     sync.Mutex
	relays map[*Relay]struct{}
}

// Add takes one in, until Remove.
func (b *Relays) Add(r *Relay) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.relays == nil {
		b.relays = make(map[*Relay]struct{})
	}
	b.relays[r] = struct{}{}
}

// Remove takes one out.
func (b *Relays) Remove(r *Relay) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.relays, r)
}

// Len counts them.
func (b *Relays) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.relays)
}

// Each calls look with each one; it may not call back.
func (b *Relays) Each(look func(*Relay)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range b.relays {
		look(r)
	}
}
