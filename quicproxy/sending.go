package quicproxy

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/segments"
)

const (
	// bulk is how many bytes a relay sends between two looks if it is worth to be spread over several connections.
	bulk = 16 << 10
	// minPatience is the least time after which a segment that was not received is sent over another connection.
	minPatience = 500 * time.Millisecond
)

// recycle takes a buffer back that segments.Outgoing kept.
func recycle(buffer []byte) { copyBuffers.Put((*[copySize]byte)(buffer[:copySize])) }

// keep keeps what goes out together with the stream header.
func (r *relay) keep(p []byte) {
	if r.out != nil {
		r.out.Keep(p, time.Now()) // there is room: it is the first
	}
}

// send has the first n bytes of a buffer of copyBuffers sent, and keeps them until the other side has them.
func (r *relay) send(buffer *[copySize]byte, n int) error {
	if r.out == nil {
		r.keeps.Add(copySize)
		defer r.keeps.Add(-copySize)
		defer copyBuffers.Put(buffer)
		return r.writeStream(buffer[:n])
	}
	// What was copied needs no buffer any more, however long the stream takes none of it.
	kept, taken, segmented, err := r.out.KeepBuffer(buffer[:n], time.Now())
	if err == segments.ErrTaken {
		r.late = append(r.late, buffer[:n]...)
		err = segments.ErrClosed
	}
	if !taken {
		copyBuffers.Put(buffer)
	}
	if err != nil {
		return err
	}
	defer r.out.Sent()
	if segmented {
		r.endSending()
		return nil
	}
	return r.sent(r.writeStream(kept))
}

// sent makes nothing of an error that only says that what was written has to go another way.
func (r *relay) sent(err error) error {
	switch {
	case err == nil || r.out == nil:
	case isLost(err):
		r.lose()
		return nil
	case r.sendsSegments(err) || r.out.Segmented() || r.out.IsDone():
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

// lastWords has what was read arrive before the relay is reset. The stream does that by itself.
func (r *relay) lastWords() {
	if r.out == nil || !r.out.Segmented() {
		return
	}
	timer := time.AfterFunc(resetLinger, r.out.Close)
	defer timer.Stop()
	r.out.Flush()
}

func (r *relay) sendNoMore() {
	if r.out != nil {
		r.out.Close()
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
		r.lifetime()
		r.sending.Go(r.sendSegments)
	})
	if lost {
		r.endStream.Do(func() { r.stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayMoved)) })
	}
}

// stripe spreads what follows over all connections.
func (r *relay) stripe() { r.moveSending(false) }

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
