package carrier

import (
	"context"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/wait"
)

// Conn is a connection between a node and a server as relays see it: what a node's link and a server's
// nodeConn have in common. It implements association.Conn.
type Conn struct {
	association.Carrier
	QUIC    *quic.Conn
	Control *conn.ControlStream
	OnLeft  func()       // called when the other side left this connection for another one; may be nil
	Flows   *flow.Sender // of their datagrams; nil: it carries none

	received           flow.Receiver // of their datagrams
	streamsOfDatagrams limit.Count

	// waits counts what waits in streams without a relay: they are no longer read, but the other side has not
	// ended them. The other fields are what the memory budget saw last; only look uses them.
	waits   *memory.Holding
	streams streamSet
	waiting int
	bytes   uint64 // that came over the connection
	busy    bool   // many came since the last look
}

// Begin makes the connection a carrier of the relays of a; account pays for it. It is called once, before the
// carrier joins a.
func (c *Conn) Begin(a *association.Association, budget *Budget, account *memory.Account) {
	c.Carrier.Conn = c
	c.waits = account.Open(c)
	budget.watch(c)
	c.Working.Go(func() { c.acceptStripes(a, budget) })
	c.Working.Go(c.receiveDatagrams)
}

// stripeCost is what a stripe costs in addition to what waits in it: a goroutine and a stream.
const stripeCost = 8 << 10

// acceptStripes accepts stripes of relays until the connection ends.
func (c *Conn) acceptStripes(a *association.Association, budget *Budget) {
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
			if !c.readDatagrams(stream) {
				bytestream.ServeStripe(a, &c.Carrier, stream)
			}
		})
	}
}

// OpenStream implements association.Conn.
func (c *Conn) OpenStream(ctx context.Context) (quicstream.Stream, error) {
	stream, err := c.QUIC.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// OpenWithin opens a stream, and waits no longer than that while the other side has as many as it allows.
func (c *Conn) OpenWithin(timeout time.Duration) (*quic.Stream, error) {
	stream, err := c.QUIC.OpenStream()
	if err != nil { // usually because it must wait
		ctx, cancel := context.WithTimeout(c.QUIC.Context(), timeout)
		defer cancel()
		return c.QUIC.OpenStreamSync(ctx)
	}
	return stream, nil
}

// OpenUniStream implements association.Conn.
func (c *Conn) OpenUniStream(ctx context.Context) (quicstream.SendStream, error) {
	stream, err := c.QUIC.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// RTT implements association.Conn.
func (c *Conn) RTT() time.Duration { return c.QUIC.ConnectionStats().SmoothedRTT }

// SendProgress implements association.Conn.
func (c *Conn) SendProgress(progress *framing.Progress) error {
	return c.Control.Send(framing.OpProgress, progress)
}

// Context implements association.Conn.
func (c *Conn) Context() context.Context { return c.QUIC.Context() }

// Received implements association.Conn.
func (c *Conn) Received() uint64 { return c.QUIC.ConnectionStats().PacketsReceived }

// Left implements association.Conn.
func (c *Conn) Left() {
	if c.OnLeft != nil {
		c.OnLeft()
	}
}

// Abandoned implements association.Conn.
func (c *Conn) Abandoned(stream quicstream.Stream) {
	if stream, ok := stream.(*quic.Stream); ok {
		c.Orphan(stream)
	}
}

// current returns the QUIC stream of a relay, and its connection; nil: it has none at the moment.
func current(s bytestream.Stream) (*quic.Stream, *Conn) {
	stream, on := s.Current()
	if stream == nil {
		return nil, nil
	}
	return stream.(*quic.Stream), on.Conn.(*Conn)
}

// HandleProgress handles the progress of relays at the other side.
func (c *Conn) HandleProgress(a *association.Association, envelope framing.Envelope) error {
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
