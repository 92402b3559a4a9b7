package association

import (
	"time"

	"apquic/framing"
)

const (
	// soon is within what time the peer is told of what a lost connection may have carried, and of relays that
	// are over.
	soon = 25 * time.Millisecond
	// maxAcks is how many relays one message acks, and maxClosed how many may be queued that are no longer
	// here.
	maxAcks   = 1000
	maxClosed = 4096
)

// Ack has the peer told, within so long, how far r is. One message acks many relays, so whoever can wait
// should.
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
		a.queueAckLocked(r, soon)
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
		a.scheduleLocked(soon)
	}
}
