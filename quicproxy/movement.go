package quicproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/segments"
)

const (
	// bulk is how many bytes a relay sends between two looks if it is worth to be spread over several connections.
	bulk = 16 << 10
	// maxRetried is how many bytes a relay may have sent that begins anew: they fit into the window of a stream.
	maxRetried = 32 << 10
	// minPatience is the least time after which a segment that was not received is sent over another connection.
	minPatience = 500 * time.Millisecond
)

// movement is what lets a relay go on when its stream cannot: see package segments and docs/architecture.md. The zero
// value is that of a relay that does not move.
//
// Each direction moves on its own. A sender moves (out.Segmented) when the stream is lost, or too slow; it sends
// segments from then on and never goes back. A receiver leaves the stream when that is lost or reset with RelayMoved,
// or when a segment comes that continues what it has.
type movement struct {
	association *association
	id          uint64
	out         *segments.Outgoing[*carrier]
	in          *segments.Incoming
	endStream   sync.Once
	move        sync.Once       // sets the following, and begins to send segments
	alive       context.Context // until the relay has ended
	end         context.CancelFunc
	sending     sync.WaitGroup

	left    atomic.Bool // the stream is not read any more
	stopped atomic.Bool // nothing more is taken
	code    atomic.Uint32
	telling atomic.Int64 // within how long the other side will be told how far this one is; -1: not
	looked  atomic.Uint64

	untold int // bytes; copyToTCP is its only user

	known   atomic.Bool // the other side has said something of the relay
	retry   sync.Once   // sets the following
	retried atomic.Bool // it never will: the relay begins anew on another connection
	unsent  []byte      // what was read until then
	late    []byte      // what was read after that; copyToStream's

	home *carrier // in whose set of relays it is; nil: in none. Guarded by association.mu
}

const notTelling = -1

// mayMove is called before anything else happens.
func (r *relay) mayMove(a *association, id uint64) {
	r.association, r.id = a, id
	r.out = segments.NewOutgoing[*carrier](recycle)
	r.in = segments.NewIncoming()
	r.telling.Store(notTelling)
}

// begin enters r where it is counted: in the association, where it may move, or else in the connection that it begins
// on. It reports false if there is no place. id 0: it gets a number.
func (r *relay) begin(a *association, id uint64) bool {
	if a == nil {
		return r.carrier.relays.add(r)
	}
	return a.add(r, id)
}

func (r *relay) ended() {
	if r.association == nil {
		r.carrier.relays.remove(r)
	} else {
		r.association.remove(r)
	}
}

// keep keeps what goes out together with the stream header.
func (r *relay) keep(p []byte) {
	if r.out != nil {
		r.out.Keep(bytes.Clone(p), time.Now()) // there is room: it is the first
	}
}

// recycle takes a buffer back that segments.Outgoing kept.
func recycle(buffer []byte) { copyBuffers.Put((*[copySize]byte)(buffer[:copySize])) }

// send has the first n bytes of a buffer of copyBuffers sent, and keeps them until the other side has them.
func (r *relay) send(buffer *[copySize]byte, n int) error {
	if r.out == nil {
		defer copyBuffers.Put(buffer)
		return r.writeStream(buffer[:n])
	}
	p := buffer[:n]
	taken, err := r.out.Keep(p, time.Now())
	if taken {
		defer r.out.Sent()
	} else {
		defer copyBuffers.Put(buffer)
	}
	if err != nil {
		if err == segments.ErrTaken {
			r.late = append(r.late, p...)
			return segments.ErrClosed
		}
		return err
	}
	if r.out.Segmented() {
		r.endSending()
		return nil
	}
	return r.sent(r.writeStream(p))
}

// sent makes nothing of an error that only says that what was written has to go another way.
func (r *relay) sent(err error) error {
	switch {
	case err == nil || r.out == nil:
	case isLost(err):
		r.lose()
		return nil
	case r.sendsSegments(err) || r.out.Segmented():
		return nil
	}
	return err
}

// isLost reports whether an operation on a stream failed because its connection ended.
func isLost(err error) bool { return errors.Is(err, net.ErrClosed) }

func (r *relay) sendEnd() {
	if r.out != nil {
		r.out.End()
		if r.out.Segmented() {
			r.endSending()
			return
		}
	}
	r.stream.Close()
}

// endSending ends this side's half of the stream, from which on segments follow.
func (r *relay) endSending() {
	r.endStream.Do(func() {
		r.stream.SetReliableBoundary()
		r.stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayMoved))
	})
}

func (r *relay) sendNoMore() {
	if r.out != nil {
		r.out.Close()
	}
}

// received counts what came over the stream and went to the TCP connection, and says how it goes on after err.
func (r *relay) received(n int, err error) error {
	if r.in == nil {
		return err
	}
	r.in.Advance(n, err == io.EOF)
	if n > 0 {
		r.tellReceived(n)
	}
	switch code, remote := resetCode(err); {
	case err == io.EOF:
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
	err := r.writeTCP(data)
	r.in.Advance(len(data), end && err == nil)
	if err != nil {
		return err
	}
	r.tellReceived(len(data))
	if end {
		return io.EOF
	}
	return nil
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

// sendsSegments moves this side's sending if that is what the other side wants, which does not read the stream any
// more.
func (r *relay) sendsSegments(stopped error) bool {
	if code, _ := resetCode(stopped); r.out == nil || code != framing.ErrorRelayMoved {
		return false
	}
	r.moveSending(true)
	return true
}

// moveSending has everything that follows sent as segments; with lost also what the stream has and was not received.
func (r *relay) moveSending(lost bool) {
	r.out.Move(r.carrier, lost, time.Now())
	r.move.Do(func() {
		r.alive, r.end = context.WithCancel(context.Background())
		r.sending.Go(r.sendSegments)
	})
	if lost {
		r.endStream.Do(func() { r.stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayMoved)) })
	}
}

// stripe spreads what follows over all connections.
func (r *relay) stripe() { r.moveSending(false) }

// leave reads the stream no more.
func (r *relay) leave() {
	if !r.left.Swap(true) {
		r.stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayMoved))
	}
}

// lose gives the stream up, in both directions, since its connection ended or another one took its place.
func (r *relay) lose() {
	if r.out == nil {
		r.abort(framing.ErrorRelayReset)
		return
	}
	r.moveSending(true)
	r.leave()
	r.association.adopt(r)
	r.tell(soon)
}

// sendSegments sends what there is as segments, until the relay has ended.
func (r *relay) sendSegments() {
	var writing sync.WaitGroup
	defer writing.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for r.alive.Err() == nil {
		carriers, others := r.association.live()
		s, c, ok, again := r.out.Take(carriers, patienceOf(carriers), time.Now())
		if ok {
			writing.Go(func() { r.out.Written(s, c, c.sendSegment(r, s)) })
			continue
		}
		timer.Reset(time.Hour)
		if !again.IsZero() {
			timer.Reset(time.Until(again))
		}
		select {
		case <-r.out.Changed():
		case <-others:
		case <-timer.C:
		case <-r.alive.Done():
		}
	}
}

func patienceOf(carriers []*carrier) time.Duration {
	patience := minPatience
	for _, c := range carriers {
		patience = max(patience, 4*c.quic.ConnectionStats().SmoothedRTT)
	}
	return patience
}

// tellReceived has the other side hear of n more bytes.
func (r *relay) tellReceived(n int) {
	switch r.untold += n; {
	case r.untold >= tellAfter:
		r.untold = 0
		r.tell(atOnce)
	case r.left.Load():
		r.tell(soon)
	default:
		r.tell(lazily)
	}
}

// tell has the other side hear within so long how far this one is.
func (r *relay) tell(within time.Duration) {
	if already := r.telling.Load(); already != notTelling && already <= int64(within) {
		return
	}
	r.telling.Store(int64(within))
	r.association.tell(r, within)
}

// tellAgain is tell when what was told may have been lost.
func (r *relay) tellAgain() {
	r.telling.Store(notTelling)
	r.tell(soon)
}

// progress is how far this side is.
func (r *relay) progress() *framing.RelayProgress {
	r.telling.Store(notTelling)
	return &framing.RelayProgress{
		Relay: r.id, Received: r.in.Position(), Moved: r.left.Load(), Stopped: r.stopped.Load(), ResetCode: r.code.Load(),
	}
}

// progressed is told how far the other side is.
func (r *relay) progressed(p *framing.RelayProgress) {
	if p.ResetCode != 0 {
		r.resetByPeer(framing.ErrorCode(p.ResetCode))
		return
	}
	r.known.Store(true)
	if p.Stopped {
		r.out.Close()
		r.tcp.SetReadDeadline(time.Unix(1, 0))
	}
	if r.out.Received(p.Received, time.Now()) != nil {
		r.abort(framing.ErrorRelayReset) // it has what was never sent
		return
	}
	if p.Moved {
		r.moveSending(true)
	}
}

// resetByPeer ends a relay that the other side reset, or does not know. One of which the other side never heard, since
// the stream header was lost with the connection, has not begun yet.
func (r *relay) resetByPeer(code framing.ErrorCode) {
	r.gone.Store(true)
	r.retry.Do(func() {
		if code != framing.ErrorUnknownRelay || r.known.Load() || r.in.Position() > 0 {
			return
		}
		if unsent, ok := r.out.TakeBack(maxRetried); ok {
			r.unsent = unsent
			r.retried.Store(true)
			r.tcp.SetReadDeadline(time.Unix(1, 0)) // ends copyToStream
		}
	})
	r.abort(framing.ErrorRelayReset)
}

// unheard returns what was read for a relay that has to begin anew; nil: it does not.
func (r *relay) unheard() []byte {
	if r.out == nil || !r.retried.Load() {
		return nil
	}
	r.tcp.SetReadDeadline(time.Time{})
	return append(append([]byte{}, r.unsent...), r.late...)
}

// resetMovement ends the movement of a relay that was reset.
func (r *relay) resetMovement(code framing.ErrorCode) {
	if r.out == nil {
		return
	}
	r.out.Close()
	r.in.Close()
	if r.code.Store(uint32(code)); (r.left.Load() || r.out.Segmented()) && !r.gone.Load() {
		r.tell(atOnce) // the stream may not tell it
	}
}

// linger waits until the other side has all, or it shows that it never will.
func (r *relay) linger() {
	if r.out == nil || r.out.IsDone() {
		return
	}
	timer := time.NewTimer(r.association.resume)
	defer timer.Stop()
	select {
	case <-r.out.Done():
	case <-timer.C:
	}
}

func (r *relay) endMovement() {
	if r.out == nil {
		return
	}
	r.out.Close()
	r.in.Close()
	r.move.Do(func() {}) // nobody begins to send any more
	if r.end != nil {
		r.end()
	}
	r.sending.Wait()
	if r.left.Load() || r.out.Segmented() {
		resetStream(r.stream, framing.ErrorRelayMoved)
	}
}
