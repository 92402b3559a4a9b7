package quicproxy

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/segments"
)

// carrier is a connection between a node and a server as relays see it: the part that a node's link and a server's
// nodeConn have in common.
type carrier struct {
	quic     *quic.Conn
	control  *controlStream
	lane     bool
	relays   relaySet
	progress progressQueue
	segments atomic.Uint64 // sent and received

	serving sync.WaitGroup // of segments, and of progress; its users hold association.mu or serve a segment

	// waits is what waits in streams that no relay has: those of segments, and those that are not read any more and that
	// the other side did not end yet. The rest is what the memory budget saw last; look is its only user.
	waits    *limit.Holding
	streams  streamSet
	waiting  int
	received uint64 // bytes, over the connection
	busy     bool   // there came many since the last look
}

// acceptSegments begins to take the segments of relays that moved. It is called once, before the connection is joined to
// a; nil: nothing moves, and nothing is taken.
func (c *carrier) acceptSegments(a *association, budget *memoryBudget, account *limit.Account) {
	c.waits = account.Open(c)
	budget.watch(c)
	c.serving.Go(func() {
		for {
			stream, err := c.quic.AcceptUniStream(c.quic.Context())
			if err != nil {
				return
			}
			c.streams.add(stream)
			signal(budget.busy)
			if relays, _ := a.size(); relays == 0 {
				stream.CancelRead(quic.StreamErrorCode(framing.ErrorUnknownRelay))
				c.streams.ended(stream)
				continue
			}
			c.segments.Add(1)
			c.serving.Go(func() {
				defer c.streams.ended(stream)
				c.serveSegment(a, stream)
			})
		}
	})
}

// serveSegment brings a segment to its relay. It has no deadline but the end of the relay: an outage may last as long
// as the connection does, and the sender does not look at a segment any more that it has sent.
func (c *carrier) serveSegment(a *association, stream *quic.ReceiveStream) {
	refuse := func(code framing.ErrorCode) { stream.CancelRead(quic.StreamErrorCode(code)) }
	header, err := framing.ReadSegmentHeader(stream)
	if err != nil {
		refuse(framing.ErrorBadHeader)
		return
	}
	r := a.relay(header.Relay)
	if r == nil {
		refuse(framing.ErrorUnknownRelay)
		c.tellUnknown(a.unknown(header.Relay))
		return
	}
	s := segments.Segment{Offset: header.Offset, Length: int(header.Length), End: header.End}
	switch wanted, err := r.in.Check(s); {
	case err != nil:
		refuse(framing.ErrorBadHeader)
		r.abort(framing.ErrorRelayReset)
		return
	case !wanted:
		refuse(framing.ErrorRelayMoved)
		r.tell(soon) // the other side does not know yet
		return
	}
	r.waits.Add(s.Length)
	defer r.waits.Add(-s.Length)
	stop := context.AfterFunc(r.lifetime(), func() { refuse(framing.ErrorRelayMoved) }) // nobody counts it then
	defer stop()
	data := make([]byte, s.Length)
	if _, err := io.ReadFull(stream, data); err != nil {
		refuse(framing.ErrorBadHeader)
		return
	}
	var none [1]byte
	if _, err := stream.Read(none[:]); err != io.EOF {
		refuse(framing.ErrorBadHeader)
		return
	}
	if r.in.Offer(s, data) {
		r.leave()
	}
}

// sendSegment sends a segment of r. It reports whether it has to be sent again.
func (c *carrier) sendSegment(r *relay, s segments.Segment) (failed bool) {
	r.keeps.Add(copySize)
	defer r.keeps.Add(-copySize)
	buffer := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buffer)
	s, data, wanted := r.out.Read(s, buffer[:])
	if !wanted {
		return false
	}
	stream, err := c.quic.OpenUniStreamSync(r.alive)
	if err != nil {
		return true
	}
	stop := context.AfterFunc(r.alive, func() { stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayMoved)) })
	defer stop()
	c.segments.Add(1)
	header, err := framing.AppendSegmentHeader(nil, &framing.SegmentHeader{Relay: r.id, Offset: s.Offset, Length: uint32(s.Length), End: s.End})
	if err == nil {
		_, err = stream.Write(header)
	}
	if err == nil {
		_, err = stream.Write(data)
	}
	if err == nil {
		err = stream.Close()
	}
	if err == nil {
		return false
	}
	stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayMoved))
	switch code, remote := resetCode(err); {
	case remote && code == framing.ErrorRelayMoved:
		return false // it came another way
	case remote && code == framing.ErrorUnknownRelay:
		r.resetByPeer(code)
		return false
	}
	return true
}
