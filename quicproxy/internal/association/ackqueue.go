package association

import (
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/wait"
)

// ackQueue holds the relays of which the peer is to be told. A goroutine runs only while there are some; it
// alone waits for a peer that does not read. Association.mu guards it.
type ackQueue struct {
	relays map[Resumable]struct{}
	closed map[uint64]*framing.RelayProgress // the last word about relays that are not here
	due    time.Time
	via    *Carrier      // the goroutine sends over it; nil: there is none
	wake   chan struct{} // has room for one: due changed
}

func (a *Association) queueAckLocked(r Resumable, within time.Duration) {
	if a.acks.relays == nil {
		a.acks.relays = make(map[Resumable]struct{})
	}
	a.acks.relays[r] = struct{}{}
	a.scheduleLocked(within)
}

// addClosed queues the last word about a relay that is not here. It reports false if the queue is full: the
// peer then names the relay again, or gives it up after a while.
func (n *ackQueue) addClosed(number uint64, p *framing.RelayProgress) bool {
	if _, waits := n.closed[number]; waits {
		return true // its last state says more
	}
	if len(n.closed) >= maxClosed {
		return false
	}
	if n.closed == nil {
		n.closed = make(map[uint64]*framing.RelayProgress)
	}
	n.closed[number] = p
	return true
}

// forget drops r, but keeps what the peer still has to hear of it.
func (n *ackQueue) forget(r Resumable, last *framing.RelayProgress) bool {
	if _, waits := n.relays[r]; waits {
		if last == nil {
			return false
		}
		delete(n.relays, r)
		n.addClosed(r.Number(), last)
	}
	return true
}

// sendQueued sends what is queued, if there is a connection now.
func (a *Association) sendQueued() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.acks.relays)+len(a.acks.closed) > 0 {
		a.scheduleLocked(Soon)
	}
}

// scheduleLocked has the queue sent after this time at the latest.
func (a *Association) scheduleLocked(within time.Duration) {
	n, due := &a.acks, time.Now().Add(within)
	switch {
	case n.via == nil:
		c := a.ackCarrierLocked()
		if c == nil {
			return // Join calls again
		}
		sooner := make(chan struct{}, 1)
		n.due, n.via, n.wake = due, c, sooner
		c.Working.Go(func() { a.sendAcks(c, sooner) })
	case due.Before(n.due):
		n.due = due
		wait.Signal(n.wake)
	}
}

// ackCarrierLocked returns the connection to send acks over: the first that answers, else the first that
// lives.
func (a *Association) ackCarrierLocked() (first *Carrier) {
	for _, c := range a.carriers {
		if c.Alive() && !c.suspect {
			return c
		}
		if first == nil && c.Alive() {
			first = c
		}
	}
	return first
}

// sendAcks sends what is due over c, until the queue is empty or another connection is better.
func (a *Association) sendAcks(c *Carrier, sooner <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		relays, last, wait := a.takeAcks(c)
		switch {
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-sooner:
			case <-c.Context().Done():
			}
			continue
		case len(relays)+len(last) == 0:
			return
		}
		messages := make([]framing.RelayProgress, len(relays))
		for i, r := range relays {
			r.Progress(&messages[i])
			last = append(last, &messages[i])
		}
		for len(last) > 0 {
			n := min(len(last), maxAcks)
			if c.SendProgress(&framing.Progress{Relays: last[:n]}) != nil {
				break // the connection ends; then everything is acked again
			}
			last = last[n:]
		}
	}
}

// takeAcks returns what is due, or how long to wait for that. It returns neither when the goroutine that
// sends over c is to end.
func (a *Association) takeAcks(c *Carrier) (relays []Resumable, last []*framing.RelayProgress, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := &a.acks
	waits := len(n.relays)+len(n.closed) > 0
	if best := a.ackCarrierLocked(); best != c || !waits {
		n.via = nil
		if best != nil && waits {
			a.scheduleLocked(max(time.Until(n.due), 0))
		}
		return nil, nil, 0
	}
	if wait = time.Until(n.due); wait > 0 {
		return nil, nil, wait
	}
	c.carriedAcks = true
	for r := range n.relays {
		relays = append(relays, r)
	}
	for _, p := range n.closed {
		last = append(last, p)
	}
	n.relays, n.closed = nil, nil
	n.due = time.Now().Add(time.Hour) // the next one to be queued says how soon
	return relays, last, 0
}
