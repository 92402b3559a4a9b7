package association

import (
	"time"

	"apquic/framing"
)

const (
	// Soon is how long the ack of an end, of what a lost connection may have carried, or of a relay that is
	// over waits for others: one message acks many relays.
	Soon = 25 * time.Millisecond
	// maxAcks is how many relays one message acks, and maxClosed how many may be queued that are no longer
	// here.
	maxAcks   = 1000
	maxClosed = 4096
)

// Ack tells the peer how far r is, after this time at the latest. Whoever can wait should.
func (a *Association) Ack(r Resumable, within time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[r.Number()] == r {
		a.queueAckLocked(r, within)
	}
}

// ackAll acks every relay again: the connection that carried earlier acks may have lost them.
func (a *Association) ackAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.relays {
		a.queueAckLocked(r, Soon)
	}
}

// Handle takes what the other side told over c of its relays.
func (a *Association) Handle(c *Carrier, message *framing.Progress) {
	a.mu.Lock()
	c.carriedAcks = true
	a.mu.Unlock()
	for _, p := range message.Relays {
		if r := a.Find(p.Relay); r != nil {
			r.HandleProgress(p)
		} else if p.ResetCode == 0 {
			a.TellOver(p.Relay)
		}
	}
}

// TellOver tells the peer that a relay it named is over. One that has not begun here may still be on its way.
func (a *Association) TellOver(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[number] != nil || a.opens && number > a.last || !a.opens && !a.seen.has(number) {
		return
	}
	if a.acks.addClosed(number, &framing.RelayProgress{Relay: number, ResetCode: uint32(framing.ErrorUnknownRelay)}) {
		a.scheduleLocked(Soon)
	}
}
