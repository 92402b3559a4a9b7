package quicproxy

import (
	"maps"
	"slices"
	"sync"
	"time"

	"apquic/framing"
)

// association is what a server process and a node process have in common beyond a single connection: the live
// connections between them, and the relays that may go on over any of these. Both sides have one of each other.
type association struct {
	peer   uint64        // the number that the other process chose at its start
	resume time.Duration // how long relays live without a connection

	mu       sync.Mutex
	carriers []*carrier // live: the primary one, if there is one, and then lanes
	changed  chan struct{}
	relays   map[uint64]*relay
	giveUp   *time.Timer // runs while there are relays without carriers
	over     bool        // the other process has ended, or is about to
	heard    []uint64    // numbers of relays that the other side began here lately
	hears    int         // the place in heard of the next one

	// The server's, guarded by Server.mu.
	users int    // connections that belong to it
	turn  uint64 // of its last primary connection, among those of the session
}

// maxHeard is how many relays are remembered that are over: that the other side names one of them tells nothing of
// whether it began.
const maxHeard = 256

func newAssociation(peer uint64, resume time.Duration) *association {
	return &association{peer: peer, resume: resume, changed: make(chan struct{}), relays: make(map[uint64]*relay)}
}

// join adds a connection. A primary one takes over what the primary one before it carried, which may be dead.
func (a *association) join(c *carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	var older *carrier
	if c.lane {
		a.carriers = append(a.carriers[:len(a.carriers):len(a.carriers)], c)
	} else {
		lanes := a.carriers
		if len(lanes) > 0 && !lanes[0].lane {
			older, lanes = lanes[0], lanes[1:]
		}
		a.carriers = append([]*carrier{c}, lanes...)
	}
	if a.giveUp != nil {
		a.giveUp.Stop()
	}
	relays := a.changedLocked(c)
	a.mu.Unlock()
	for _, r := range relays {
		if r.carrier == older {
			r.lose()
		} else {
			a.adopt(r)
		}
		r.tellAgain()
	}
}

// leave removes a connection that ended.
func (a *association) leave(c *carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	i := slices.Index(a.carriers, c)
	if i < 0 {
		a.mu.Unlock()
		return
	}
	a.carriers = slices.Delete(slices.Clone(a.carriers), i, i+1)
	if len(a.carriers) == 0 && len(a.relays) > 0 {
		a.giveUp = time.AfterFunc(a.resume, func() { a.reset(framing.ErrorRelayReset) })
	}
	var relays []*relay
	if i == 0 && len(a.carriers) > 0 {
		relays = a.changedLocked(a.carriers[0])
	} else {
		a.changedLocked(nil)
	}
	over := a.over && len(a.carriers) == 0
	a.mu.Unlock()
	for _, r := range relays {
		r.tellAgain()
	}
	if over {
		a.reset(framing.ErrorRelayReset)
	}
}

// ends notes that the other process stops: what its last connection carries does not wait for another one.
func (a *association) ends() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

// changedLocked tells who waits that the carriers are others. It returns the relays if first is the first one now:
// what was to be told over another one has to be told again.
func (a *association) changedLocked(first *carrier) []*relay {
	close(a.changed)
	a.changed = make(chan struct{})
	if first == nil || a.carriers[0] != first {
		return nil
	}
	return slices.Collect(maps.Values(a.relays))
}

// end resets all relays; none begins any more.
func (a *association) end(code framing.ErrorCode) {
	if a == nil {
		return
	}
	a.ends()
	a.reset(code)
}

// endAnew is end after another process has followed the one that did not say goodbye: relays of which that one
// never heard begin anew.
func (a *association) endAnew() {
	a.ends()
	a.mu.Lock()
	relays := slices.Collect(maps.Values(a.relays))
	a.mu.Unlock()
	for _, r := range relays {
		if r.isUnheard() {
			r.resetByPeer(framing.ErrorUnknownRelay)
		}
	}
	a.reset(framing.ErrorRelayReset)
}

// reset resets all relays.
func (a *association) reset(code framing.ErrorCode) {
	a.mu.Lock()
	relays := slices.Collect(maps.Values(a.relays))
	a.mu.Unlock()
	for _, r := range relays {
		r.abort(code)
	}
}

// live returns the connections that can carry segments, the best first, and a channel that is closed when there
// are others.
func (a *association) live() ([]*carrier, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	dead := func(c *carrier) bool { return c.quic.Context().Err() != nil } // it is about to leave
	if slices.ContainsFunc(a.carriers, dead) {
		return slices.DeleteFunc(slices.Clone(a.carriers), dead), a.changed
	}
	return a.carriers[:len(a.carriers):len(a.carriers)], a.changed
}

// tell has the other side hear within so long how far r is; if there is no connection now, when there is one.
func (a *association) tell(r *relay, within time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.carriers) > 0 && a.relays[r.id] == r {
		a.carriers[0].tell(r, within)
	}
}

// add makes r a relay that may move. It reports false if the connection that r begins on takes none any more.
func (a *association) add(r *relay, id uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.relays[id] != nil || !slices.Contains(a.carriers, r.carrier) {
		return false
	}
	r.mayMove(a, id)
	if r.home = r.carrier; !r.home.relays.add(r) {
		return false
	}
	a.relays[id] = r
	return true
}

func (a *association) remove(r *relay) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.relays, r.id)
	for _, c := range a.carriers {
		c.progress.forget(r)
	}
	if r.home != nil {
		r.home.relays.remove(r)
	}
	if len(a.relays) == 0 && a.giveUp != nil {
		a.giveUp.Stop()
	}
}

// hear notes that the other side has begun a relay here.
func (a *association) hear(id uint64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.heard) < maxHeard {
		a.heard = append(a.heard, 0)
	}
	a.heard[a.hears] = id
	a.hears = (a.hears + 1) % maxHeard
}

// unknown is what to answer when the other side names a relay that is not here: that it was reset, if it ever was.
func (a *association) unknown(id uint64) *framing.RelayProgress {
	a.mu.Lock()
	defer a.mu.Unlock()
	code := framing.ErrorUnknownRelay
	if slices.Contains(a.heard, id) {
		code = framing.ErrorRelayReset
	}
	return &framing.RelayProgress{Relay: id, ResetCode: uint32(code)}
}

func (a *association) relay(id uint64) *relay {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.relays[id]
}

func (a *association) size() (relays, carriers int) {
	if a == nil {
		return 0, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.relays), len(a.carriers)
}

// adopt has the relay, which left the connection that it began on, counted where it is carried now.
func (a *association) adopt(r *relay) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var now *carrier
	if len(a.carriers) > 0 {
		now = a.carriers[0]
	}
	if r.home == now || !r.left.Load() || a.relays[r.id] != r {
		return
	}
	if r.home != nil {
		r.home.relays.remove(r)
	}
	if r.home = now; now != nil && !now.relays.add(r) {
		r.home = nil // it is about to end
	}
}

// handleProgress is told how far relays are at the other side.
func (a *association) handleProgress(from *carrier, envelope framing.Envelope) error {
	var message framing.Progress
	if err := envelope.Decode(&message); err != nil {
		return err
	}
	if a == nil {
		return unexpected(envelope)
	}
	for _, p := range message.Relays {
		if r := a.relay(p.Relay); r != nil {
			r.progressed(p)
		} else if p.Moved && p.ResetCode == 0 {
			from.tellUnknown(a.unknown(p.Relay))
		}
	}
	return nil
}

// stripe has relays that are sending much do so over all connections: loss limits c, which carries them.
func (a *association) stripe(c *carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	relays := slices.Collect(maps.Values(a.relays))
	lonely := len(a.carriers) < 2
	a.mu.Unlock()
	for _, r := range relays {
		if kept := r.out.Kept(); r.carrier == c && kept-r.looked.Swap(kept) > bulk && !lonely {
			r.stripe()
		}
	}
}
