package quicproxy

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/segments"
)

// segmentTimeout bounds how long a segment may take from its first byte.
const segmentTimeout = time.Minute

// carrier is a connection between a node and a server as relays see it: the part that a node's link and a server's
// nodeConn have in common.
type carrier struct {
	quic     *quic.Conn
	control  *controlStream
	lane     bool
	relays   relaySet
	progress progressQueue
	segments atomic.Uint64 // sent and received

	accepting sync.Once
	serving   sync.WaitGroup // of segments, and of progress; its users hold association.mu or serve a segment
}

// acceptSegments begins to take the segments of relays that moved. association.mu is held.
func (c *carrier) acceptSegments(a *association) {
	c.accepting.Do(func() {
		c.serving.Go(func() {
			for {
				stream, err := c.quic.AcceptUniStream(c.quic.Context())
				if err != nil {
					return
				}
				c.segments.Add(1)
				c.serving.Go(func() { a.serveSegment(stream) })
			}
		})
	})
}

// serveSegment brings a segment to its relay.
func (a *association) serveSegment(stream *quic.ReceiveStream) {
	refuse := func(code framing.ErrorCode) { stream.CancelRead(quic.StreamErrorCode(code)) }
	stream.SetReadDeadline(time.Now().Add(segmentTimeout))
	header, err := framing.ReadSegmentHeader(stream)
	if err != nil {
		refuse(framing.ErrorBadHeader)
		return
	}
	r := a.relay(header.Relay)
	if r == nil {
		refuse(framing.ErrorUnknownRelay)
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
	buffer := copyBuffers.Get().(*[copySize]byte)
	free := func() { copyBuffers.Put(buffer) }
	if _, err := io.ReadFull(stream, buffer[:s.Length]); err != nil {
		free()
		refuse(framing.ErrorBadHeader)
		return
	}
	var none [1]byte
	if _, err := stream.Read(none[:]); err != io.EOF {
		free()
		refuse(framing.ErrorBadHeader)
		return
	}
	if ready, _ := r.in.Offer(s, buffer[:s.Length], free); ready {
		r.leave()
	}
}

// sendSegment sends a segment of r. It reports whether it has to be sent again.
func (c *carrier) sendSegment(r *relay, s segments.Segment) (failed bool) {
	buffer := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buffer)
	data, wanted := r.out.Read(s, buffer[:])
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
