package carrier

import (
	"context"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
)

// Conn is a connection between a node and a server as relays see it: the part that a node's link and a server's
// nodeConn have in common. It is what relay.Conn is about.
type Conn struct {
	relay.Carrier
	QUIC    *quic.Conn
	Control *conn.ControlStream
	OnLeft  func() // is told that the other side left this connection for another one; nil: nobody is

	// waits is what waits in streams that no relay has: those that are not read any more and that the other side did not
	// end yet. The rest is what the memory budget saw last; look is its only user.
	waits    *limit.Holding
	streams  streamSet
	waiting  int
	received uint64 // bytes, over the connection
	busy     bool   // there came many since the last look
}

// Begin makes the carrier one of the relays of a, for which account pays; it is called once, before the carrier joins a.
func (c *Conn) Begin(a *relay.Association, budget *Budget, account *limit.Account) {
	c.Carrier.Conn = c
	c.waits = account.Open(c)
	budget.watch(c)
	c.Working.Go(func() { c.acceptStripes(a, budget) })
}

// stripeCost is what a stripe costs beside what waits in it: a goroutine and a stream.
const stripeCost = 8 << 10

// acceptStripes takes stripes of relays until the connection ends.
func (c *Conn) acceptStripes(a *relay.Association, budget *Budget) {
	for {
		stream, err := c.QUIC.AcceptUniStream(c.QUIC.Context())
		if err != nil {
			return
		}
		c.streams.add(stream)
		c.waits.Add(stripeCost)
		wait.Signal(budget.Busy)
		c.Working.Go(func() {
			defer c.waits.Add(-stripeCost)
			defer c.streams.ended(stream)
			a.ServeStripe(&c.Carrier, stream)
		})
	}
}

// OpenStream implements relay.Conn.
func (c *Conn) OpenStream(ctx context.Context) (relay.QUICStream, error) {
	stream, err := c.QUIC.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// OpenUniStream implements relay.Conn.
func (c *Conn) OpenUniStream(ctx context.Context) (relay.SendStream, error) {
	stream, err := c.QUIC.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// RTT implements relay.Conn.
func (c *Conn) RTT() time.Duration { return c.QUIC.ConnectionStats().SmoothedRTT }

// SendProgress implements relay.Conn.
func (c *Conn) SendProgress(progress *framing.Progress) error {
	return c.Control.Send(framing.OpProgress, progress)
}

// Context implements relay.Conn.
func (c *Conn) Context() context.Context { return c.QUIC.Context() }

// Received implements relay.Conn.
func (c *Conn) Received() uint64 { return c.QUIC.ConnectionStats().PacketsReceived }

// Left implements relay.Conn.
func (c *Conn) Left() {
	if c.OnLeft != nil {
		c.OnLeft()
	}
}

// Abandoned implements relay.Conn.
func (c *Conn) Abandoned(stream relay.QUICStream) {
	if stream, ok := stream.(*quic.Stream); ok {
		c.Orphan(stream)
	}
}

// current is the QUIC stream of a relay, and the connection that it is on; nil: there is none at the moment.
func current(s relay.Stream) (*quic.Stream, *Conn) {
	stream, on := s.Current()
	if stream == nil {
		return nil, nil
	}
	return stream.(*quic.Stream), on.Conn.(*Conn)
}

// HandleProgress is told how far relays are at the other side.
func (c *Conn) HandleProgress(a *relay.Association, envelope framing.Envelope) error {
	var message framing.Progress
	if err := envelope.Decode(&message); err != nil {
		return err
	}
	if a == nil {
		return conn.Unexpected(envelope)
	}
	a.Handle(&c.Carrier, &message)
	return nil
}
