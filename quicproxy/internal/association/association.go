package association

import (
	"maps"
	"slices"
	"sync"
	"time"

	"apquic/framing"
)

// surelyLater is more than the time between two calls of Suspect, and than what two packets that were sent at
// the same time need.
const surelyLater = 200 * time.Millisecond

// Association is what a server process and a node process share beyond a single connection: their live
// connections, and the relays that resume over any of these. Each side has one for the other. A nil
// Association is that of a peer whose relays end with their connection: Join, Leave and all that a connection
// calls do nothing then.
type Association struct {
	// Peer is the number that the other process chose at its start.
	Peer uint64
	// ResumeTime is how long relays live without a connection.
	ResumeTime time.Duration

	opens bool // this side opens streams: the server

	mu       sync.Mutex
	carriers []*Carrier    // live: the primary one, if there is one, then lanes
	changed  chan struct{} // closed and replaced when carriers, or one of them, change
	relays   map[uint64]Resumable
	last     uint64      // the last number given to a relay; the opener's
	seen     window      // the numbers of relays that began here; the other side's
	asked    time.Time   // when all connections were last made to ask the peer
	giveUp   *time.Timer // runs while there are relays without carriers
	over     bool        // the other process has ended, or is about to
	acks     ackQueue
}

// New makes a node's association with the server process peer. Relays live for resume without a
// connection.
func New(peer uint64, resume time.Duration) *Association {
	return &Association{
		Peer: peer, ResumeTime: resume,
		changed: make(chan struct{}), relays: make(map[uint64]Resumable),
	}
}

// NewServer makes a server's association with a node process. Its relays get numbers above after,
// which no earlier relay between the two processes had.
func NewServer(peer, after uint64, resume time.Duration) *Association {
	a := New(peer, resume)
	a.opens, a.last = true, after
	return a
}

// Last returns the highest number that a server has given to a relay.
func (a *Association) Last() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// PeerStops notes that the other process is stopping: the relays of its last connection do not wait for
// another one.
func (a *Association) PeerStops() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

// End resets all relays and lets no other begin.
func (a *Association) End(code framing.ErrorCode) {
	if a == nil {
		return
	}
	a.PeerStops()
	a.Discard(code)
}

// PeerReplaced is End after another process has taken the place of one that crashed: relays that the crashed
// one cannot have seen are taken back, to begin anew.
func (a *Association) PeerReplaced() {
	a.PeerStops()
	for _, s := range a.all() {
		if !s.TakeBack() {
			s.Discard(framing.ErrorRelayReset)
		}
	}
}

// Discard resets all relays. Others may begin.
func (a *Association) Discard(code framing.ErrorCode) {
	for _, s := range a.all() {
		s.Discard(code)
	}
}

// all returns the relays.
func (a *Association) all() []Resumable {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.relays))
}

// Size counts the relays and the live connections.
func (a *Association) Size() (relays, carriers int) {
	if a == nil {
		return 0, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.relays), len(a.carriers)
}
