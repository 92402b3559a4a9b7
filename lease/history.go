package lease

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
	"unicode/utf8"
)

// maxReason bounds a reason, in bytes.
const maxReason = 64

// Ended describes a lease that a port no longer has. A store keeps the last one of each port.
type Ended struct {
	Key
	Port   uint16
	At     time.Time
	Reason Reason
}

// Reason is why a lease left its port.
type Reason string

// The reasons that a Lessor gives.
const (
	Expired   Reason = "expired"    // its owner did not come back in the hold time
	GivenAway Reason = "given away" // it had lapsed, and no other port was left
	Released  Reason = "released"   // by its owner, or the server's
	MadeRoom  Reason = "made room"  // for another service of its node
	Moved     Reason = "moved"      // its owner asked for another port, or the range changed
	Lost      Reason = "lost"       // the store says that somebody else has it; this reason is not stored
)

// String is the reason for the owner of the lease, as the end of "another port, since ...".
func (r Reason) String() string {
	switch r {
	case Expired:
		return "the node was away for longer than its port was kept"
	case GivenAway:
		return "no other port was left for a new service while the node was away"
	case Released:
		return "the lease was released"
	case MadeRoom:
		return "the port was given up for another service of the node, which already has as many as it may"
	case Lost:
		return "the server's store gave the port to another service"
	default:
		return "the lease ended: " + string(r)
	}
}

// Validate returns why no store may accept it.
func (e Ended) Validate() error {
	switch {
	case e.Port == 0:
		return errors.New("an ended lease needs a port")
	case len(e.Reason) > maxReason || !utf8.ValidString(string(e.Reason)):
		return fmt.Errorf("a reason is at most %d bytes of UTF-8", maxReason)
	default:
		return validate(e.Key, "")
	}
}

func (e *entry) ended(why Reason) Ended {
	return Ended{Key: e.Key, Port: e.Port, At: time.Now(), Reason: why}
}

// remember updates memory with what the store has.
func (l *Lessor) remember(history ...Ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range ofPorts(history) {
		l.history[e.Port] = e
		l.unused.remove(e.Port)
	}
}

// former returns the last lease of a key without one; port 0 if none is known.
func (l *Lessor) former(key Key) (last Ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.history {
		if e.Key == key && e.Reason != Moved && (last.Port == 0 || e.At.After(last.At)) {
			last = e
		}
	}
	return last
}

// candidates yields the free ports to try for a new lease of a key whose last one was own (port 0: none),
// best first: that one, those that nobody ever had, and then those given up longest ago, since people
// remember addresses. The lock is not held meanwhile.
func (l *Lessor) candidates(own Ended) iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		if own.Reason != Released && l.ports.Contains(own.Port) && !yield(own.Port) {
			return
		}
		for port, ok := l.nextUnused(0); ok; port, ok = l.nextUnused(port) {
			if !yield(port) {
				return
			}
		}
		for _, port := range l.givenUp() {
			if !yield(port) {
				return
			}
		}
	}
}

// nextUnused returns the lowest port above after that nobody has or had, and that has no obstacle.
func (l *Lessor) nextUnused(after uint16) (port uint16, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for port, ok = l.unused.after(after); ok && l.avoid[Endpoint{Port: port}].until.After(now); {
		port, ok = l.unused.after(port)
	}
	return port, ok
}

// givenUp returns the ports of the range that somebody had, the earliest given up first.
func (l *Lessor) givenUp() []uint16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var history []Ended
	for port, e := range l.history {
		if _, owned := l.owners[Endpoint{Port: port}]; !owned && l.ports.Contains(port) {
			history = append(history, e)
		}
	}
	slices.SortFunc(history, func(a, b Ended) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Port, b.Port)) })
	ports := make([]uint16, len(history))
	for i, e := range history {
		ports[i] = e.Port
	}
	return ports
}
