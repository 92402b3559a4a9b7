package private

import (
	"context"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/streamconn"
	"apquic/quicproxy/server/internal/public"
)

const (
	// openTimeout bounds the wait for a stream to a node that has as many as it allows.
	openTimeout = 10 * time.Second
	// maxStreams is how many private services a node may be connected to at once.
	maxStreams = 256
	// busyRetry is when a node may ask again that has as many.
	busyRetry = time.Second
	// streamCost is what such a stream costs beside the bytes on their way: goroutines and buffers of a relay.
	streamCost = 16 << 10
)

// Join returns a function that joins the caller's stream with that number to a private service, until both
// sides have ended. An error means that the caller has too many already.
func (x *Exchange) Join(caller Caller, nodeName string, p *public.Listener, number uint64) (run func(), err error) {
	if !caller.Account.Streams.Take(maxStreams) {
		return nil, Busy(busyRetry)
	}
	return func() {
		defer caller.Account.Streams.Give()
		x.join(caller, nodeName, p, number)
	}, nil
}

func (x *Exchange) join(caller Caller, nodeName string, p *public.Listener, number uint64) {
	stream := caller.open()
	if stream == nil {
		return // the connection ended, or the node takes no more
	}
	header := &framing.StreamHeader{Service: p.Key.Service, ClientAddress: caller.QUIC.RemoteAddr().String(), Connect: number}
	s, err := bytestream.Begin(caller.Association, &caller.Carrier, stream, header, nil)
	if err != nil {
		quicstream.Reset(stream, framing.ErrorRelayShutdown)
		return
	}
	defer s.Finish()
	c := streamconn.New(s, header, func() {})
	defer c.CountAt(caller.Account.Memory)()
	waits := x.Memory.Await(s, caller.Account.Memory)
	defer x.Memory.Served(waits)
	cost := caller.Account.Memory.Open(c)
	defer cost.Close()
	if cost.Take(streamCost, 0) == 0 {
		s.Discard(framing.ErrorRelayStalled)
		return
	}
	p.Serve(c, caller.QUIC.RemoteAddr(), nodeName)
}

// open opens a stream to the caller; nil: it cannot.
func (c Caller) open() *quic.Stream {
	ctx, cancel := context.WithTimeout(c.QUIC.Context(), openTimeout)
	defer cancel()
	stream, err := c.QUIC.OpenStreamSync(ctx)
	if err != nil {
		return nil
	}
	return stream
}
