package association

import (
	"context"
	"slices"
	"time"

	"apquic/framing"
)

// Join adds a connection. A primary one takes over the relays of the primary one before, which may be dead.
func (a *Association) Join(c *Carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	var older *Carrier
	if c.Lane {
		a.carriers = append(a.carriers, c)
	} else {
		if len(a.carriers) > 0 && !a.carriers[0].Lane {
			older = a.carriers[0]
			a.carriers = a.carriers[1:]
		}
		a.carriers = slices.Insert(slices.Clone(a.carriers), 0, c)
	}
	if a.giveUp != nil {
		a.giveUp.Stop()
	}
	a.changedLocked()
	a.mu.Unlock()
	if older != nil {
		for _, m := range older.Relays.All() {
			m.Lost(older)
		}
	}
	if !c.Lane {
		a.ackAll()
	}
	a.sendQueued()
}

// Leave removes a connection that ended. Its relays resume over another one.
func (a *Association) Leave(c *Carrier) {
	lost := c.Relays.refuse()
	again := false
	if a != nil {
		again = a.leave(c)
	}
	for _, m := range lost {
		m.Lost(c)
	}
	if again {
		a.ackAll()
	}
}

// leave reports whether acks may have been lost with the connection.
func (a *Association) leave(c *Carrier) (again bool) {
	a.mu.Lock()
	i := slices.Index(a.carriers, c)
	if i < 0 {
		a.mu.Unlock()
		return false
	}
	a.carriers = slices.Delete(slices.Clone(a.carriers), i, i+1)
	if len(a.carriers) == 0 && len(a.relays) > 0 {
		a.giveUp = time.AfterFunc(a.ResumeTime, func() { a.Discard(framing.ErrorRelayReset) })
	}
	a.changedLocked()
	over := a.over && len(a.carriers) == 0
	again = c.carriedAcks && len(a.carriers) > 0
	a.mu.Unlock()
	if over {
		a.Discard(framing.ErrorRelayReset)
	}
	return again
}

// Suspect has a connection avoided that does not answer, while another one does, or not any longer: what it
// carries goes on over others, and what was told over it is told again. It is to be called again while there
// are relays, whatever it says.
func (a *Association) Suspect(c *Carrier, suspect bool) {
	if a == nil {
		return
	}
	received, now := c.Received(), time.Now()
	a.mu.Lock()
	if received != c.received {
		c.received, c.heard = received, now
	}
	first := suspect && !c.suspect
	c.suspect = suspect
	others := slices.ContainsFunc(a.carriers, func(other *Carrier) bool { return other != c && other.isGoodLocked() })
	if first {
		a.changedLocked()
	}
	a.mu.Unlock()
	if !suspect || !others {
		return
	}
	for _, m := range c.Relays.All() {
		m.Lost(c)
	}
	if first {
		a.ackAll()
	}
}

// askEvery is the least time between two calls of AskOthers that do something: traffic may stop often, and a peer
// may reopen many relays in a row.
const askEvery = 500 * time.Millisecond

// AskOthers makes all connections but c check the peer: what silenced one, or what made the peer have a relay go
// on over c, may be wrong with all. It does nothing soon after the last time.
func (a *Association) AskOthers(c *Carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	recently := time.Since(a.asked) < askEvery
	if !recently {
		a.asked = time.Now()
	}
	a.mu.Unlock()
	if recently {
		return
	}
	for _, other := range a.Live() {
		if other != c {
			other.Left()
		}
	}
}

// Retire keeps new relays off a connection; those that it carries go on.
func (a *Association) Retire(c *Carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.retiring = true
	a.changedLocked()
}

func (c *Carrier) isGoodLocked() bool { return !c.suspect && !c.retiring && c.Alive() }

// changedLocked wakes whoever waits for other carriers.
func (a *Association) changedLocked() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// Live returns the connections that have not ended, the primary one first.
func (a *Association) Live() []*Carrier {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.carriers), func(c *Carrier) bool { return !c.Alive() })
}

// Good returns the connections that answer and take relays, and a channel that is closed when they change.
func (a *Association) Good() (good []*Carrier, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.carriers {
		if c.isGoodLocked() {
			good = append(good, c)
		}
	}
	return good, a.changed
}

// SetLossy says whether loss limits c: relays that send much over it are striped then, if there are other good
// connections. Call it again while that lasts.
func (a *Association) SetLossy(c *Carrier, lossy bool) {
	if a == nil {
		return
	}
	good, _ := a.Good()
	c.lossy.Store(lossy && len(good) > 1)
}

// Pick waits for a connection that can carry m, which it counts there; nil: ctx ended. Of those that answer
// the one with the fewest relays is taken, but not the one that m has just left; and rather one that was
// heard since: what silenced one may have silenced others, of which nobody knows yet.
func (a *Association) Pick(ctx context.Context, m Member, left *Carrier) *Carrier {
	for ctx.Err() == nil {
		a.mu.Lock()
		changed := a.changed
		load := make(map[*Carrier]int, len(a.carriers))
		for _, c := range a.carriers {
			load[c] = c.Relays.Len()
			if left != nil && c.heard.Sub(left.heard) < surelyLater {
				load[c] += 1 << 27
			}
			if c == left {
				load[c] += 1 << 28
			}
			if !c.isGoodLocked() {
				load[c] += 1 << 29
			}
		}
		carriers := slices.Clone(a.carriers)
		a.mu.Unlock()
		slices.SortStableFunc(carriers, func(c, d *Carrier) int { return load[c] - load[d] })
		for _, c := range carriers {
			if c.Alive() && c.Relays.Add(m) {
				return c
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}
