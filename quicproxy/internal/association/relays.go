package association

import (
	"errors"

	"apquic/framing"
)

// Resumable is a relay that goes on over another connection when the one that it has cannot.
type Resumable interface {
	Member
	// Number is the number of the relay in its association. It never changes, and takes no lock: it is
	// called with Association.mu held.
	Number() uint64
	// Progress fills in what to tell the peer of this side.
	Progress(*framing.RelayProgress)
	// HandleProgress takes what the peer told of its side.
	HandleProgress(*framing.RelayProgress)
	// TakeBack ends a relay that the peer cannot have seen, so that it may begin anew. It reports false if the
	// peer may have seen it.
	TakeBack() bool
}

// ErrClosed is the error of beginning a relay on a connection that no longer takes any.
var ErrClosed = errors.New("the connection takes no more relays")

// Next returns the number of the next relay that this side, the server, begins. Numbers may be skipped.
func (a *Association) Next() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	return a.last
}

// Add takes in a relay that this side begins on c. ErrClosed: c takes no more.
func (a *Association) Add(c *Carrier, r Resumable) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || !c.Relays.Add(r) {
		return ErrClosed
	}
	a.relays[r.Number()] = r
	return nil
}

// FindOrAdd returns the relay that the peer named in a header. If the number is new, the relay begins: create
// makes it, and c carries it; create is called with a lock, and returns nil where the header cannot be one
// that begins a relay. refused is the code to reset the stream with, or NoError.
func (a *Association) FindOrAdd(c *Carrier, number uint64, create func() Resumable) (r Resumable, begins bool, refused framing.ErrorCode) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.relays[number]; r != nil {
		return r, false, framing.NoError
	}
	switch {
	case a.opens:
		return nil, false, framing.ErrorBadHeader
	case a.seen.has(number):
		return nil, false, framing.ErrorUnknownRelay
	case a.over:
		return nil, false, framing.ErrorRelayShutdown
	}
	if r = create(); r == nil {
		return nil, false, framing.ErrorBadHeader
	}
	if !c.Relays.Add(r) {
		return nil, false, framing.ErrorRelayShutdown
	}
	a.seen.add(number)
	a.relays[number] = r
	return r, true, framing.NoError
}

// Find returns the relay with a number, or nil.
func (a *Association) Find(number uint64) Resumable {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.relays[number]
}

// Remove forgets a relay, but keeps what the peer still has to hear of it.
func (a *Association) Remove(r Resumable) {
	if !a.forget(r, nil) {
		last := new(framing.RelayProgress)
		r.Progress(last)
		a.forget(r, last)
	}
}

// forget reports false if something is to be told of r, and last does not say it.
func (a *Association) forget(r Resumable, last *framing.RelayProgress) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[r.Number()] != r {
		return true
	}
	if !a.acks.forget(r, last) {
		return false
	}
	delete(a.relays, r.Number())
	if len(a.relays) == 0 && a.giveUp != nil {
		a.giveUp.Stop()
	}
	return true
}
