package private

import (
	"context"
	"time"

	"apquic/certs"
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

// Connect has a stream of the caller joined to the private service that it asks for, by run, until both sides have
// ended.
func (x *Exchange) Connect(ctx context.Context, caller Caller, request *framing.Connect) (node certs.NodeID, run func(), err error) {
	node, p, err := x.find(ctx, caller, request)
	if err != nil {
		return certs.NodeID{}, nil, err
	}
	if !caller.Account.Streams.Take(maxStreams) {
		return certs.NodeID{}, nil, Busy(busyRetry)
	}
	name := x.nameOf(ctx, caller)
	return node, func() {
		defer caller.Account.Streams.Give()
		x.join(caller, name, p, request.Number)
	}, nil
}

func (x *Exchange) join(caller Caller, nodeName string, p *public.Listener, number uint64) {
	stream, err := caller.OpenWithin(openTimeout)
	if err != nil {
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
