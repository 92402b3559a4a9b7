package quicproxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apquic/framing"
)

// openTimeout bounds the wait for a stream of a node that has as many as it allows.
const openTimeout = 10 * time.Second

// relay carries one public connection to the node of c until both have ended. It takes client only if it
// returns nil.
func (c *nodeConn) relay(p *publicListener, client *publicClient) error {
	if !c.account.traffic.relays.Take(c.server.maxRelaysOfNode()) {
		return errTooManyRelays
	}
	defer c.account.traffic.relays.Give()
	var tried []*nodeConn // lanes that ended just then
	for {
		carrier := c.takeCarrier(tried)
		err := carrier.carry(p, client)
		carrier.giveBack()
		if carrier == c || !errors.Is(err, errConnectionEnded) {
			return err
		}
		tried = append(tried, carrier)
	}
}

// carry is relay over a stream of c itself.
func (c *nodeConn) carry(p *publicListener, client *publicClient) error {
	ctx, cancel := context.WithTimeout(c.quic.Context(), openTimeout)
	stream, err := c.quic.OpenStreamSync(ctx)
	cancel()
	if err != nil {
		if c.quic.Context().Err() != nil {
			return errConnectionEnded
		}
		return fmt.Errorf("the node takes no more relays: %w", err)
	}
	r := newRelay(&c.carrier, stream, client.Conn, c.server.memory, c.account.memory)
	r.retriable, r.begun, r.heard = true, time.Now(), c.quic.ConnectionStats().PacketsReceived
	if !r.begin(p.associationOf(c), c.server.lastRelay.Add(1)) {
		resetStream(stream, framing.ErrorRelayShutdown)
		return errConnectionEnded
	}
	defer c.ended(r)
	client.carriedBy(r)
	c.server.memory.add(r, relayName{p.key.Service, client.RemoteAddr().String()})
	defer c.server.memory.remove(r)
	p.relayBegan(r)
	defer p.relayEnded(r)
	if client.read == nil { // else it was counted when it began for the first time
		c.server.count(func(n *Counters) { n.Relays++ })
	}
	start := time.Now()
	if err := r.sendHeader(p.key.Service, client.read); err != nil {
		r.abort(framing.ErrorInternal)
		r.endMovement()
	} else {
		r.run()
	}
	if client.read = r.unheard(); client.read != nil {
		return errConnectionEnded // as if it had never begun
	}
	c.server.relayEnded(r)
	if r.away.Load() {
		c.server.count(func(n *Counters) { n.Relays-- })
		return errNodeAway
	}
	c.log.Debug("relay ended", "service", p.key.Service, "client", client.RemoteAddr(), "for", time.Since(start),
		"to_node", r.toStreamBytes.Load(), "from_node", r.toTCPBytes.Load())
	return nil
}

// ended forgets a relay, and what is left of its session if nothing is.
func (c *nodeConn) ended(r *relay) {
	r.ended()
	if c.quic.Context().Err() != nil {
		c.server.tidy(c.session, c.node)
	}
}

// sendHeader sends the stream header, with what the client has sent already in the same write: read, and what comes
// after it.
func (r *relay) sendHeader(service string, read []byte) error {
	frame, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{
		Service:       service,
		ClientAddress: r.tcp.RemoteAddr().String(),
		PublicAddress: r.tcp.LocalAddr().String(),
		Relay:         r.id,
	})
	if err != nil {
		return err
	}
	r.keep(read)
	frame = append(frame, read...)
	buffer, n := r.reader.poll()
	if n > 0 {
		frame = append(frame, buffer[:n]...)
		r.keep(buffer[:n])
		copyBuffers.Put(buffer)
	}
	r.toStreamBytes.Add(uint64(len(read) + n))
	return r.sent(r.writeStream(frame))
}
