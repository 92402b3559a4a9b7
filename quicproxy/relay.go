package quicproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/segments"
)

// resetLinger is how long a relay that the other side reset may still take to deliver what was sent before.
const resetLinger = 10 * time.Second

// copySize is the size of a copy buffer. A write to a stream returns when all of it is under way, so the
// size decides how often a copying goroutine wakes up.
const copySize = 64 << 10

// copyBuffers are taken only while there is data in hand: an idle relay has none.
var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// relay joins a stream and a TCP (or unix) connection: bytes untouched, FIN for FIN in each direction on
// its own, RST for reset (docs/protocol.md section 6). Both sides of the tunnel use the same type.
type relay struct {
	carrier *carrier // of the stream
	stream  *quic.Stream
	tcp     net.Conn
	reader  *readyReader
	budget  *memoryBudget
	place   *limit.Client // of the public connection; may be nil
	movement

	// What is kept until the other side has it, and what waits for the TCP connection. remove closes them.
	keeps, waits *limit.Holding
	// What the last look saw: bytes that wait, and toTCPBytes. look is their only user.
	waiting int
	written uint64

	toStreamBytes, toTCPBytes atomic.Uint64
	aborted                   atomic.Bool  // we reset it
	gone                      atomic.Bool  // the other side reset it
	writeFailed               atomic.Bool  // the TCP connection takes no more
	writing                   atomic.Int64 // since when a write to it waits, by the budget's clock; 0: none does
}

func newRelay(c *carrier, stream *quic.Stream, tcp net.Conn, budget *memoryBudget, account *limit.Account) *relay {
	r := &relay{carrier: c, stream: stream, tcp: tcp, budget: budget}
	r.keeps, r.waits = account.Open(r), account.Open(r)
	r.reader = newReadyReader(tcp, readGate{r})
	return r
}

// readGate lets a relay read from its TCP connection while there is memory for it.
type readGate struct{ *relay }

// room is how many bytes it may read now; 0: it has to wait. Few are copied, so that they take no more than that.
func (g readGate) room() int {
	room := g.keeps.Room(copySize)
	if room < copySize {
		room = min(room, copySize/4)
	}
	return room
}

// wait returns when it is worth to ask again.
func (g readGate) wait() {
	freed := g.budget.Freed()
	signal(g.budget.busy)
	<-freed
}

// run copies in both directions until both have ended, and leaves nothing open.
func (r *relay) run() {
	fired := make(chan struct{})
	stop := context.AfterFunc(r.stream.Context(), func() {
		defer close(fired)
		r.sendingStopped(context.Cause(r.stream.Context()))
	})
	var other sync.WaitGroup
	other.Go(r.copyToTCP)
	r.copyToStream()
	other.Wait()
	switch {
	case r.retried.Load():
	case r.gone.Load():
		resetTCP(r.tcp)
	default:
		r.tcp.Close()
	}
	if !r.retried.Load() {
		r.place.Leave()
	}
	r.linger()
	if !stop() {
		<-fired
	}
	r.endMovement()
}

func (r *relay) copyToStream() {
	for {
		buffer, n, err := r.reader.next()
		if n > 0 {
			err = r.send(buffer, n)
			r.toStreamBytes.Add(uint64(n))
			r.place.Active()
		}
		switch {
		case err == nil:
			continue
		case r.writeFailed.Load():
			r.lastWords()
			r.abort(framing.ErrorRelayReset)
		case err == io.EOF:
			r.sendEnd()
		case isStopped(err) || err == segments.ErrClosed || errors.Is(err, os.ErrDeadlineExceeded):
			// The other side wants no more. What it sends goes on, and says how the relay ends.
			r.stream.CancelWrite(quic.StreamErrorCode(framing.NoError))
			r.sendNoMore()
		default:
			r.abort(framing.ErrorRelayReset)
		}
		return
	}
}

func (r *relay) copyToTCP() {
	for {
		err := r.copyOnceToTCP()
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			r.reader.finSent.Store(true)
			closeWrite(r.tcp)
		case isTCPWriteError(err) && !r.gone.Load() && !r.aborted.Load():
			// A service may answer early and close: its answer still waits in the socket, and
			// copyToStream ends the relay when it has read that.
			r.writeFailed.Store(true)
			r.receiveNoMore()
			r.tcp.SetReadDeadline(time.Now().Add(resetLinger))
		default:
			r.abort(framing.ErrorRelayReset)
		}
		return
	}
}

// copyOnceToTCP waits for data without holding a buffer, then moves as much as fits into one.
func (r *relay) copyOnceToTCP() error {
	if r.readsSegments() {
		r.leave()
		return r.copySegment()
	}
	var first [1]byte
	r.stream.Peek(first[:]) // its error comes again from Read, which also tells quic-go that it was seen
	buffer := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buffer)
	n, err := r.stream.Read(buffer[:])
	if n > 0 {
		if err := r.writeTCP(buffer[:n]); err != nil {
			return err
		}
	}
	return r.received(n, err)
}

func (r *relay) writeTCP(b []byte) error {
	r.writing.Store(r.budget.now())
	_, err := r.tcp.Write(b)
	r.writing.Store(0)
	if err != nil {
		return &tcpWriteError{err}
	}
	r.toTCPBytes.Add(uint64(len(b)))
	r.place.Active()
	return nil
}

// tcpWriteError tells a failed write to the TCP connection from a failed read of the stream.
type tcpWriteError struct{ error }

func isTCPWriteError(err error) bool {
	_, ok := err.(*tcpWriteError)
	return ok
}

// writeStream is a write that returns when the last byte is under way. quic-go's Write keeps the last packet
// back, for which the stream's window may have no room; the reliable reset of such a stream (abort) breaks
// the rules of flow control, and the other side ends the connection with all its relays.
func (r *relay) writeStream(b []byte) error {
	_, err := r.stream.WriteWithLimit(b, noLimit)
	return err
}

func noLimit(maxBytes int) int { return maxBytes }

// sendingStopped is called once when the stream takes no more data of ours, whoever caused it.
func (r *relay) sendingStopped(cause error) {
	if !isStopped(cause) || r.sendsSegments(cause) {
		return // we ended it ourselves, it goes on elsewhere, or the connection died and lose follows
	}
	r.tcp.SetReadDeadline(time.Unix(1, 0))
	if code, _ := resetCode(cause); code != framing.NoError {
		// The other end of the relay is gone. What it sent before is on its way; a reader that does not
		// take it in time does not get it.
		r.gone.Store(true)
		limit := time.Now().Add(resetLinger)
		r.tcp.SetWriteDeadline(limit)
		r.stream.SetReadDeadline(limit)
		r.receiveUntil(limit)
	}
}

// abort resets both sides. What was read from the TCP connection before is still delivered, as TCP does.
func (r *relay) abort(code framing.ErrorCode) {
	if r.aborted.Swap(true) {
		return
	}
	r.stream.SetReliableBoundary()
	resetStream(r.stream, code)
	if !r.retried.Load() {
		resetTCP(r.tcp)
	}
	r.resetMovement(code)
}

// resetStream ends both halves of a stream.
func resetStream(stream *quic.Stream, code framing.ErrorCode) {
	stream.CancelWrite(quic.StreamErrorCode(code))
	stream.CancelRead(quic.StreamErrorCode(code))
}

// resetTCP closes with RST where the kind of connection has one.
func resetTCP(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(seconds int) error }); ok {
		l.SetLinger(0)
	}
	c.Close()
}

// closeWrite sends FIN. Connections that cannot (a listener's of the caller may not) are closed whole
// when the relay ends.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// isStopped reports that the other side asked us to send no more (STOP_SENDING).
func isStopped(err error) bool {
	_, ok := resetCode(err)
	return ok
}

// resetCode is the code with which the other side ended a stream, if it did.
func resetCode(err error) (framing.ErrorCode, bool) {
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		return framing.ErrorCode(e.ErrorCode), true
	}
	return 0, false
}
