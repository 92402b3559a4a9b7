package quicproxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/segments"
)

// maxRetried is how many bytes a relay may have sent that begins anew: they fit into the window of a stream.
const maxRetried = 32 << 10

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
	move        sync.Once       // begins to send segments
	life        sync.Once       // sets the following: few relays need them
	alive       context.Context // until the relay has ended
	end         context.CancelFunc
	sending     sync.WaitGroup

	left    atomic.Bool // the stream is not read any more
	stopped atomic.Bool // nothing more is taken
	code    atomic.Uint32
	telling atomic.Int64 // within how long the other side will be told how far this one is; -1: not
	looked  atomic.Uint64

	untold int // bytes; copyToTCP is its only user

	retriable bool        // the relay may begin anew
	begun     time.Time   // and since when it is there,
	heard     uint64      // when so many packets had come from the other side
	away      atomic.Bool // it was given up, since the other side did not answer
	known     atomic.Bool // the other side has said something of the relay
	retry     sync.Once   // sets the following
	retried   atomic.Bool // it never will: the relay begins anew on another connection
	unsent    []byte      // what was read until then
	late      []byte      // what was read after that; copyToStream's

	home *carrier // in whose set of relays it is; nil: in none. Guarded by association.mu
}

const notTelling = -1

// mayMove is called before anything else happens.
func (r *relay) mayMove(a *association, id uint64) {
	r.association, r.id = a, id
	r.out = segments.NewOutgoing[*carrier](recycle)
	r.out.Count(r.keeps.Add)
	r.in = segments.NewIncoming()
	r.in.Count(r.waits.Add)
	r.telling.Store(notTelling)
}

// begin enters r where it is counted: in the association, where it may move, or else in the connection that it begins
// on. It reports false if there is no place.
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

// resetByPeer ends a relay that the other side reset, or does not know. One of which the other side never heard, since
// the stream header was lost with the connection, has not begun yet.
func (r *relay) resetByPeer(code framing.ErrorCode) {
	r.gone.Store(true)
	r.retry.Do(func() {
		if !r.retriable || code != framing.ErrorUnknownRelay || r.known.Load() || r.in.Position() > 0 {
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
	r.tcp.SetDeadline(time.Time{})
	return append(append([]byte{}, r.unsent...), r.late...)
}

// resetMovement ends the movement of a relay that was reset.
func (r *relay) resetMovement(code framing.ErrorCode) {
	if r.out == nil {
		return
	}
	r.out.Close()
	r.in.Close()
	if (r.left.Load() || r.out.Segmented()) && !r.gone.Load() {
		r.code.Store(uint32(code))
		r.tell(atOnce)
	} // else the stream tells it, after what was sent before
}

// linger waits until the other side has all, or has received nothing for so long that it never will.
func (r *relay) linger() {
	if r.out == nil || r.out.IsDone() {
		return
	}
	begin, limit := time.Now(), r.association.resume
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-r.out.Done():
			return
		case <-timer.C:
		}
		_, last := r.out.Unreceived()
		waited := min(time.Since(last), time.Since(begin))
		if waited >= limit {
			return
		}
		timer.Reset(limit - waited)
	}
}

func (r *relay) endMovement() {
	if r.out == nil {
		return
	}
	r.out.Close()
	r.in.Close()
	r.move.Do(func() {}) // nobody begins to send any more
	r.lifetime()
	r.end()
	r.sending.Wait()
	if r.left.Load() || r.out.Segmented() {
		resetStream(r.stream, framing.ErrorRelayMoved)
	}
}

// lifetime ends with the relay.
func (r *relay) lifetime() context.Context {
	r.life.Do(func() { r.alive, r.end = context.WithCancel(context.Background()) })
	return r.alive
}
