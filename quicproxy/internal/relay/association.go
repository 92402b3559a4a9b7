package relay

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"apquic/framing"
)

// surelyLater is more than the time between two calls of Suspect, and than what two packets that were sent at the same time need.
const surelyLater = 200 * time.Millisecond

// Association is what a server process and a node process have in common beyond a single connection: the live connections
// between them, and the relays that go on over any of these. Both sides have one of each other. nil is one in which
// nothing resumes: its relays end with their connection.
type Association struct {
	// Peer is the number that the other process chose at its start.
	Peer   uint64
	opens  bool          // this side opens streams: the server
	resume time.Duration // how long relays live without a connection

	mu       sync.Mutex
	carriers []*Carrier    // live: the primary one, if there is one, and then lanes
	changed  chan struct{} // closed and made anew when carriers, or one of them, are different
	relays   map[uint64]*resumable
	last     uint64      // the number that a relay got last; the opener's
	seen     window      // the numbers of relays that were begun here; the other side's
	giveUp   *time.Timer // runs while there are relays without carriers
	over     bool        // the other process has ended, or is about to
	news     news
}

// NewAssociation makes a node's association with the server process peer, whose relays live for resume without a connection.
func NewAssociation(peer uint64, resume time.Duration) *Association {
	return &Association{
		Peer: peer, resume: resume,
		changed: make(chan struct{}), relays: make(map[uint64]*resumable),
	}
}

// NewServerAssociation makes the same for a server, which opens streams. Its relays get numbers above after, which none has
// had that the two processes ever knew.
func NewServerAssociation(peer, after uint64, resume time.Duration) *Association {
	a := NewAssociation(peer, resume)
	a.opens, a.last = true, after
	return a
}

// Last is the number that a relay of a server got last.
func (a *Association) Last() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// Join adds a connection. A primary one takes over what the primary one before it carried, which may be dead.
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
		a.tellAll()
	}
	a.send()
}

// Leave removes a connection that ended. What it carried goes on over another one.
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
		a.tellAll()
	}
}

// leave reports whether what was told may have been lost with the connection.
func (a *Association) leave(c *Carrier) (again bool) {
	a.mu.Lock()
	i := slices.Index(a.carriers, c)
	if i < 0 {
		a.mu.Unlock()
		return false
	}
	a.carriers = slices.Delete(slices.Clone(a.carriers), i, i+1)
	if len(a.carriers) == 0 && len(a.relays) > 0 {
		a.giveUp = time.AfterFunc(a.resume, func() { a.discard(framing.ErrorRelayReset) })
	}
	a.changedLocked()
	over := a.over && len(a.carriers) == 0
	again = c.told && len(a.carriers) > 0
	a.mu.Unlock()
	if over {
		a.discard(framing.ErrorRelayReset)
	}
	return again
}

// Suspect has a connection avoided that does not answer, while another one does, or not any longer: what it carries goes
// on over others, and what was told over it is told again. It is to be called again while there are relays, whatever it says.
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
		a.tellAll()
	}
}

// askOthers: the peer had to have a relay go on over c. What was wrong with the connections that it was on may be wrong with all.
func (a *Association) askOthers(c *Carrier) {
	for _, other := range a.Live() {
		if other != c {
			other.Left()
		}
	}
}

// Retire has a connection carry nothing new; what it carries goes on.
func (a *Association) Retire(c *Carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.retiring = true
	a.changedLocked()
}

func (c *Carrier) isGoodLocked() bool { return !c.suspect && !c.retiring && c.alive() }

// changedLocked tells who waits that the carriers are others.
func (a *Association) changedLocked() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// Live are the connections that have not ended, the primary one first.
func (a *Association) Live() []*Carrier {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.carriers), func(c *Carrier) bool { return !c.alive() })
}

// pick waits for a connection that can carry s, which it counts there; nil: ctx ended. Of those that answer the one with the
// fewest relays is taken, but not the one that s has just left; and rather one that was heard since: what silenced one may
// have silenced others, of which nobody knows yet.
func (a *Association) pick(ctx context.Context, s *resumable, left *Carrier) *Carrier {
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
			if c.alive() && c.Relays.add(s) {
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

// Ends notes that the other process stops: what its last connection carries does not wait for another one.
func (a *Association) Ends() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

// End resets all relays; none begins any more.
func (a *Association) End(code framing.ErrorCode) {
	if a == nil {
		return
	}
	a.Ends()
	a.discard(code)
}

func (a *Association) discard(code framing.ErrorCode) {
	for _, s := range a.all() {
		s.Discard(code)
	}
}

// all are the relays of the association.
func (a *Association) all() []*resumable {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.relays))
}

// Streams are the relays of the association.
func (a *Association) Streams() (all []Stream) {
	if a == nil {
		return nil
	}
	for _, s := range a.all() {
		all = append(all, s)
	}
	return all
}

// Size is how many relays and live connections there are.
func (a *Association) Size() (relays, carriers int) {
	if a == nil {
		return 0, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.relays), len(a.carriers)
}

func (a *Association) relay(number uint64) *resumable {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.relays[number]
}

// remove forgets a relay, but for what is still to be told of it.
func (a *Association) remove(s *resumable) {
	if !a.forget(s, nil) {
		last := new(framing.RelayProgress)
		s.progress(last)
		a.forget(s, last)
	}
}

// forget reports false if something is to be told of s, and last does not say it.
func (a *Association) forget(s *resumable, last *framing.RelayProgress) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[s.number] != s {
		return true
	}
	if !a.news.forget(s, last) {
		return false
	}
	delete(a.relays, s.number)
	if len(a.relays) == 0 && a.giveUp != nil {
		a.giveUp.Stop()
	}
	return true
}

// EndAnew is End after another process has followed the one that did not say goodbye: relays of which that one never heard
// are taken back, to begin anew.
func (a *Association) EndAnew() {
	a.Ends()
	for _, s := range a.all() {
		if !s.TakeBack() {
			s.Discard(framing.ErrorRelayReset)
		}
	}
}
