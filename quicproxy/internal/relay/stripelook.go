package relay

import (
	"context"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

const (
	// minPatience is the least time after which a stripe is given up that has what does not arrive.
	minPatience = 500 * time.Millisecond
	// A connection where a stripe was lost gets none for minRest, which doubles up to maxRest each time.
	minRest, maxRest = time.Second, 30 * time.Second
)

// runStripes opens stripes as they are needed, and loses those that are stuck, until there is nothing to be sent.
func (s *resumable) runStripes(p *striping) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		carriers, changed := s.association.good()
		s.mu.Lock()
		if s.striping != p {
			s.mu.Unlock()
			return
		}
		now := time.Now()
		again := s.lookAtStripesLocked(p, carriers, now)
		var failed QUICStream
		if now.Sub(p.moved) >= stripesFail {
			failed = s.stream
			s.load.not = now.Add(unstriped)
		}
		running := p.running
		s.mu.Unlock()
		if failed != nil {
			s.lose(failed)
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

// lookAtStripesLocked returns after how long to look again at the latest.
func (s *resumable) lookAtStripesLocked(p *striping, carriers []*Carrier, now time.Time) (again time.Duration) {
	for c, t := range p.open {
		if !slices.Contains(carriers, c) {
			s.closeStripeLocked(p, t)
		}
	}
	for _, t := range p.stripes() {
		if !t.carrier.alive() {
			s.loseStripeLocked(p, t, now)
		}
	}
	waiting := p.waiting(s.totalLocked(p))
	if waiting == 0 && len(p.with) == 0 {
		if idle := now.Sub(p.moved); idle < stripesIdle {
			return stripesIdle - idle
		}
		for _, t := range p.open {
			s.closeStripeLocked(p, t)
		}
		p.running = false
		return 0
	}
	s.openStripesLocked(p, carriers, waiting, now)
	again = stripesFail
	if t, first, ok := p.first(); ok && len(carriers) > 1 {
		again = first.began.Add(p.patience(t)).Sub(now)
		if again <= 0 {
			p.overdue++
			s.loseStripeLocked(p, t, now)
			return 0
		}
	}
	return min(again, p.moved.Add(stripesFail).Sub(now))
}

// patience is how long what a stripe was given may take to arrive while nothing else can. Where many relays share a
// connection, a piece takes long to be written.
func (p *striping) patience(t *stripe) time.Duration {
	return (max(minPatience, 4*t.carrier.RTT()) + 4*p.took) << min(p.overdue, 6)
}

// openStripesLocked opens as many stripes as there are pieces that wait for one.
func (s *resumable) openStripesLocked(p *striping, carriers []*Carrier, waiting uint64, now time.Time) {
	want := int(min((waiting+pieceSize-1)/pieceSize, uint64(len(carriers))))
	for _, c := range carriers {
		if want <= 0 {
			return
		}
		if p.open[c] != nil || len(p.open) > 0 && now.Before(p.rests[c].until) {
			continue
		}
		ctx, cancel := context.WithCancel(c.Context())
		t := &stripe{carrier: c, cancel: cancel}
		p.open[c] = t
		want--
		s.working.Go(func() { s.runStripe(ctx, p, t) })
	}
}

// loseStripeLocked has what a stripe carries go over others.
func (s *resumable) loseStripeLocked(p *striping, t *stripe, now time.Time) {
	t.cancelLocked()
	p.lost(t)
	if p.open[t.carrier] == t {
		delete(p.open, t.carrier)
		r := p.rests[t.carrier]
		p.rests[t.carrier] = rest{now.Add(min(minRest<<min(r.times, 8), maxRest)), r.times + 1}
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

// closeStripeLocked has a stripe take nothing more. What it was given still arrives; feedLocked ends the stream.
func (s *resumable) closeStripeLocked(p *striping, t *stripe) {
	t.ended = true
	if t.stream == nil {
		t.cancel()
	}
	delete(p.open, t.carrier)
	s.changed.Broadcast()
}
