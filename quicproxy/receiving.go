package quicproxy

import (
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// received counts what came over the stream and went to the TCP connection, and says how it goes on after err.
func (r *relay) received(n int, err error) error {
	if r.in == nil {
		return err
	}
	// After CancelRead quic-go takes a reset for the end if nothing is left to read. Where the stream was left, the end
	// comes as a segment.
	end := err == io.EOF && !r.left.Load()
	r.in.Advance(n, end)
	if n > 0 {
		r.tellReceived(n)
	}
	switch code, remote := resetCode(err); {
	case end:
		r.tell(soon)
	case err != nil && isLost(err):
		r.lose()
		return nil
	case remote && code == framing.ErrorRelayMoved:
		r.leave()
		return nil
	case err != nil && (r.left.Load() || r.in.Ready()):
		return nil
	}
	return err
}

// readsSegments reports whether what comes next comes as a segment.
func (r *relay) readsSegments() bool { return r.in != nil && (r.left.Load() || r.in.Ready()) }

// copySegment waits for the next segment and writes it to the TCP connection.
func (r *relay) copySegment() error {
	data, end, ok := r.in.Next()
	if !ok {
		return net.ErrClosed
	}
	if err := r.writeTCP(data); err != nil {
		return err
	}
	r.in.Advance(len(data), end)
	r.tellReceived(len(data))
	if end {
		return io.EOF
	}
	return nil
}

// receiveUntil resets a relay that the other side has reset, unless it ends before.
func (r *relay) receiveUntil(limit time.Time) {
	if r.in != nil {
		time.AfterFunc(time.Until(limit), func() { r.abort(framing.ErrorRelayReset) })
	}
}

func (r *relay) receiveNoMore() {
	r.stream.CancelRead(quic.StreamErrorCode(framing.NoError))
	if r.in != nil {
		r.stopped.Store(true)
		r.in.Close()
		if r.left.Load() {
			r.tell(soon)
		}
	}
}

// leave reads the stream no more.
func (r *relay) leave() {
	if !r.left.Swap(true) {
		r.stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayMoved))
		r.tell(soon)
	}
}
