package quicproxy

import (
	"maps"
	"slices"
	"sync"
	"time"

	"apquic/framing"
)

const (
	// What one side has is told to the other in one message for many relays. Nothing waits for it but memory, so
	// that of a few bytes can come late; that of much, of an end, and of a relay that moved, should not.
	lazily = time.Second
	soon   = 25 * time.Millisecond
	atOnce = 0
	// tellAfter is how many bytes of a relay are told at once.
	tellAfter = 1 << 20
	// maxProgress is how many relays one message is about, and maxEnded how many may wait that are not here any more.
	maxProgress = 1000
	maxEnded    = 4096
)

// progressQueue collects what the other side has to hear. It has a goroutine only while there is something, which alone
// waits if the other side does not read.
type progressQueue struct {
	mu     sync.Mutex
	relays map[*relay]struct{}
	ended  map[uint64]*framing.RelayProgress // the last of relays that are not here any more, or never were
	due    time.Time
	sooner chan struct{} // has room for one: due changed; nil: nobody waits
}

// tell has the other side hear of r within so long. association.mu is held.
func (c *carrier) tell(r *relay, within time.Duration) {
	q := &c.progress
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.relays == nil {
		q.relays = make(map[*relay]struct{})
	}
	q.relays[r] = struct{}{}
	c.scheduleLocked(within)
}

// tellUnknown answers the other side, which named a relay that is not here. It does not wait for one that does not read;
// it is called by the users of serving.
func (c *carrier) tellUnknown(p *framing.RelayProgress) {
	c.progress.mu.Lock()
	defer c.progress.mu.Unlock()
	if c.progress.endLocked(p) {
		c.scheduleLocked(soon)
	}
}

// endLocked keeps the last that there is to tell of a relay. What has no room is left out: the other side asks again, or
// gives the relay up after a while.
func (q *progressQueue) endLocked(p *framing.RelayProgress) bool {
	if len(q.ended) >= maxEnded {
		return false
	}
	if q.ended == nil {
		q.ended = make(map[uint64]*framing.RelayProgress)
	}
	q.ended[p.Relay] = p
	return true
}

// forget keeps nothing of r but what is still to be told of it.
func (q *progressQueue) forget(r *relay) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, waits := q.relays[r]; waits {
		delete(q.relays, r)
		q.endLocked(r.progress())
	}
}

// scheduleLocked has the queue worked off within so long. progress.mu is held.
func (c *carrier) scheduleLocked(within time.Duration) {
	q := &c.progress
	due := time.Now().Add(within)
	switch {
	case q.sooner == nil:
		sooner := make(chan struct{}, 1)
		q.due, q.sooner = due, sooner
		c.serving.Go(func() { c.tellProgress(sooner) })
	case due.Before(q.due):
		q.due = due
		signal(q.sooner)
	}
}

// tellProgress sends what is due until there is nothing more.
func (c *carrier) tellProgress(sooner <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		relays, ended, wait := c.progress.take()
		switch {
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-sooner:
			case <-c.quic.Context().Done():
				return // whoever did not hear will ask
			}
			continue
		case len(relays)+len(ended) == 0:
			return
		}
		all := slices.Collect(maps.Values(ended))
		for r := range relays {
			all = append(all, r.progress())
		}
		for part := range slices.Chunk(all, maxProgress) {
			if c.control.send(framing.OpProgress, &framing.Progress{Relays: part}) != nil {
				return
			}
		}
	}
}

// take returns the relays that are due, and those that have ended, or how long nothing is due. After neither nobody
// works any more.
func (q *progressQueue) take() (relays map[*relay]struct{}, ended map[uint64]*framing.RelayProgress, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.relays)+len(q.ended) == 0 {
		q.relays, q.ended, q.sooner = nil, nil, nil
		return nil, nil, 0
	}
	if wait = time.Until(q.due); wait > 0 {
		return nil, nil, wait
	}
	relays, q.relays = q.relays, make(map[*relay]struct{})
	ended, q.ended = q.ended, nil
	q.due = time.Now().Add(time.Hour) // whoever comes now says how soon
	return relays, ended, 0
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
