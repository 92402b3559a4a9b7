package bytestream

import (
	"context"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/stripes"
)

const (
	// minStripeTimeout is the least time after which a stripe is given up whose bytes do not arrive.
	minStripeTimeout = 500 * time.Millisecond
	// A connection on which a stripe was lost gets none for minBackoff, which doubles each time, up to
	// maxBackoff.
	minBackoff, maxBackoff = time.Second, 30 * time.Second
)

// superviseStripes opens stripes as they are needed, and gives up those that are stuck, until there is
// nothing to send.
func (s *resumable) superviseStripes(p *striping) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		carriers, changed := s.association.Good()
		s.mu.Lock()
		if s.striping != p {
			s.mu.Unlock()
			return
		}
		now := time.Now()
		again := s.checkStripesLocked(p, carriers, now)
		var failed quicstream.Stream
		if now.Sub(p.lastArrival) >= stripingTimeout {
			failed = s.stream
			s.load.notBefore = now.Add(restripeAfter)
		}
		running := p.running
		s.mu.Unlock()
		if failed != nil {
			s.markLost(failed)
		}
		if !running {
			return
		}
		timer.Reset(max(again, time.Millisecond))
		select {
		case <-p.wake:
		case <-changed:
		case <-timer.C:
		}
	}
}

// checkStripesLocked returns after how long to check again at the latest.
func (s *resumable) checkStripesLocked(p *striping, carriers []*association.Carrier, now time.Time) (again time.Duration) {
	for c, t := range p.open {
		if !slices.Contains(carriers, c) {
			s.closeStripeLocked(p, t)
		}
	}
	for _, t := range p.Stripes() {
		if !t.carrier.Alive() {
			s.stripeLostLocked(p, t, now)
		}
	}
	waiting := p.Waiting(s.sendableLocked(p))
	if waiting == 0 && !p.Outstanding() {
		if idle := now.Sub(p.lastArrival); idle < stripeIdleTimeout {
			return stripeIdleTimeout - idle
		}
		for _, t := range p.open {
			s.closeStripeLocked(p, t)
		}
		p.running = false
		return 0
	}
	s.openStripesLocked(p, carriers, waiting, now)
	again = stripingTimeout
	if t, began, ok := p.First(); ok && len(carriers) > 1 {
		again = began.Add(p.timeout(t)).Sub(now)
		if again <= 0 {
			p.timeouts++
			s.stripeLostLocked(p, t, now)
			return 0
		}
	}
	return min(again, p.lastArrival.Add(stripingTimeout).Sub(now))
}

// timeout is how long a stripe may hold up all the others. Where many relays share a connection, writing a
// piece takes long.
func (p *striping) timeout(t *stripe) time.Duration {
	return (max(minStripeTimeout, 4*t.carrier.RTT()) + 4*p.WriteTime()) << min(p.timeouts, 6)
}

// openStripesLocked opens as many stripes as pieces wait for one.
func (s *resumable) openStripesLocked(p *striping, carriers []*association.Carrier, waiting uint64, now time.Time) {
	want := int(min((waiting+stripes.PieceSize-1)/stripes.PieceSize, uint64(len(carriers))))
	for _, c := range carriers {
		if want <= 0 {
			return
		}
		if p.open[c] != nil || len(p.open) > 0 && now.Before(p.backoffs[c].until) {
			continue
		}
		ctx, cancel := context.WithCancel(c.Context())
		t := &stripe{carrier: c, cancel: cancel}
		p.open[c] = t
		want--
		s.working.Go(func() { s.runStripe(ctx, p, t) })
	}
}

// stripeLostLocked sends what a stripe carried over others.
func (s *resumable) stripeLostLocked(p *striping, t *stripe, now time.Time) {
	t.cancelLocked()
	p.Lost(t)
	if p.open[t.carrier] == t {
		delete(p.open, t.carrier)
		r := p.backoffs[t.carrier]
		p.backoffs[t.carrier] = backoff{now.Add(min(minBackoff<<min(r.failures, 8), maxBackoff)), r.failures + 1}
	}
	s.changed.Broadcast()
}

func (t *stripe) cancelLocked() {
	t.ended = true
	t.cancel()
	if t.stream != nil {
		t.stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayMoved))
	}
}

// closeStripeLocked gives a stripe nothing more. What it has still arrives; feedLocked then ends the stream.
func (s *resumable) closeStripeLocked(p *striping, t *stripe) {
	t.ended = true
	if t.stream == nil {
		t.cancel()
	}
	delete(p.open, t.carrier)
	s.changed.Broadcast()
}
