package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/server/internal/begun"
	"apquic/quicproxy/server/internal/canary"
	"apquic/quicproxy/server/internal/public"
	"apquic/quicproxy/server/internal/stage"
)

// openTimeout bounds the wait for a stream to a node that has as many as it allows.
const openTimeout = 10 * time.Second

// Relay carries one public connection to the node of c until both sides have ended. It takes client only if
// it returns nil.
func (c *nodeConn) Relay(p *public.Listener, client *public.Client) error {
	if !c.account.Relays.Take(c.account.MaxRelays()) {
		return public.ErrTooManyRelays
	}
	defer c.account.Relays.Give()
	var tried []*nodeConn // lanes that ended meanwhile
	for {
		carrier := c.takeCarrier(tried)
		err := carrier.carry(p, client)
		carrier.giveBack()
		if carrier == c || !errors.Is(err, public.ErrConnectionEnded) {
			return err
		}
		tried = append(tried, carrier)
	}
}

// takeCarrier chooses the connection for a new relay of c, the one with the fewest relays, and counts the
// relay there at once, so that simultaneous clients are spread, too. It skips those in tried and those that
// do not answer, but c only if there is another.
func (c *nodeConn) takeCarrier(tried []*nodeConn) *nodeConn {
	c.server.registry.mu.Lock()
	defer c.server.registry.mu.Unlock()
	best := c
	for _, lane := range c.session.lanes {
		usable := lane.instance == c.instance && lane.stage.Last() == stage.Primary && lane.QUIC.Context().Err() == nil && !lane.silent.Load() && !lane.suspect.Load() &&
			!slices.Contains(tried, lane)
		if usable && (lane.carried < best.carried || best == c && (lane.carried == c.carried || c.suspect.Load())) {
			best = lane
		}
	}
	best.carried++
	return best
}

// giveBack uncounts a relay that takeCarrier counted on c.
func (c *nodeConn) giveBack() {
	c.server.registry.mu.Lock()
	defer c.server.registry.mu.Unlock()
	c.carried--
}

// carry does what Relay does, starting with a stream of c itself.
func (c *nodeConn) carry(p *public.Listener, client *public.Client) error {
	name := carrier.Name{Service: client.Offer.Service, Client: client.RemoteAddr().String()}
	r, err := c.begin(p, client, name)
	if err != nil {
		return err
	}
	defer c.ended(r)
	client.CarriedBy(r.Relay)
	c.server.memory.Add(r.Relay, name)
	defer c.server.memory.Remove(r.Relay)
	p.RelayBegan(client)
	defer p.RelayEnded(client)
	if !client.Begun { // otherwise it was counted when it first began
		c.server.tally.Change(func(n *Counters) { n.Relays++ })
	}
	r.Run()
	client.Refused = r.Refused()
	if written, again := r.Stream().TakenBack(); again {
		client.Read, client.Begun = written, true
		return public.ErrConnectionEnded // as if it had not begun
	}
	c.server.tally.Ended(r.Relay)
	if log := c.server.config.Access; log.Wants() {
		log.Tell(r.Ended(client, c.node, c.admission.Name))
	}
	if r.Away.Load() {
		c.server.tally.Change(func(n *Counters) { n.Relays-- })
		return public.ErrNodeAway
	}
	c.server.tally.Lasted(time.Since(r.Begun()), c.Path().RTT, r.FirstByte())
	c.log.Debug("relay ended", "service", name.Service, "client", name.Client, "for", time.Since(r.Begun()),
		"to_node", r.ToStream(), "from_node", r.ToTCP())
	return nil
}

// begin opens a stream for a client, and sends the header with what the client has already sent.
func (c *nodeConn) begin(p *public.Listener, client *public.Client, name carrier.Name) (*begun.Relay, error) {
	stream, err := c.OpenWithin(openTimeout)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && c.QUIC.Context().Err() == nil:
		return nil, fmt.Errorf("the node does not accept more relays: %w", err)
	case err != nil: // its context ends only a moment after its streams
		return nil, public.ErrConnectionEnded
	}
	r := &begun.Relay{Port: p, Relay: relay.New(client.Conn, c.account.Memory, client.Place, c.server.memory.Wait)}
	p.Pace(r.Relay)
	header := &framing.StreamHeader{
		Service: name.Service, ClientAddress: name.Client, PublicAddress: client.LocalAddr().String(), Tls: client.TLS, TlsEnded: client.Ended, NodeName: client.NodeName,
	}
	first := r.First(client.Read)
	within := c.association
	if !client.Offer.Movable {
		within = nil
	}
	s, err := bytestream.Begin(within, &c.Carrier, stream, header, first)
	if err != nil {
		client.Read = first
		quicstream.Reset(stream, framing.ErrorRelayShutdown)
		if errors.Is(err, association.ErrClosed) {
			err = public.ErrConnectionEnded
		}
		return nil, err
	}
	r.Carry(s)
	c.begun.Add(r)
	return r, nil
}

// Ask implements public.Target. A canary takes the place of a relay.
func (c *nodeConn) Ask(ctx context.Context, service string) error {
	if !c.account.Relays.Take(c.account.MaxRelays()) {
		return public.ErrTooManyRelays
	}
	defer c.account.Relays.Give()
	return canary.Ask(ctx, &c.Conn, service)
}

// ended forgets a relay, and its session if nothing else is left of it.
func (c *nodeConn) ended(r *begun.Relay) {
	c.begun.Remove(r)
	if c.QUIC.Context().Err() != nil {
		c.server.registry.tidy(c.session)
	}
}
