package keepalive

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	publicIP     = "192.0.2.9"
	longIdle     = 15 * time.Minute // an idle timeout that allows any interval
	retransmit   = 15 * time.Second // of keepalives, while none is answered
	probeTakes   = 3 * time.Second  // before a mapping is left alone
	failureTakes = 6 * time.Second  // to be sure that it is gone
)

var inside = netip.MustParseAddr("192.168.1.2")

// home is a node behind a NAT, in the time that a test gives it: a Schedule with all that it is told in life.
type home struct {
	now      time.Time
	logged   *bytes.Buffer
	store    *memory
	learner  *Learner
	schedule *Schedule
	due      time.Time // the next keepalive

	timeout time.Duration // of the NAT's mappings; 0: none
	public  string        // address of the NAT
	cut     bool          // nothing comes through
	sockets uint64        // that the connection has left behind

	port  uint16    // of the connection's mapping
	seen  string    // where the server sees the connection
	last  time.Time // when the connection sent something
	lost  int       // mappings of the connection
	tries int

	try  *Try // running
	ends time.Time
}

func newHome(timeout time.Duration) *home {
	h := &home{
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), logged: new(bytes.Buffer), store: new(memory),
		timeout: timeout, public: publicIP, port: 32768,
	}
	h.connect(longIdle, longIdle)
	return h
}

// connect begins a process of the node, with a connection between ends with these idle timeouts.
func (h *home) connect(own, peer time.Duration) {
	h.learner = NewLearner(h.store, slog.New(slog.NewTextHandler(h.logged, nil)))
	h.learner.Load()
	h.port++
	h.last, h.seen, h.try = h.now, h.address(), nil
	h.schedule = h.learner.Schedule(h.now, h.path(), own, peer)
	h.due = h.now.Add(h.schedule.Interval())
}

func (h *home) address() string {
	return netip.AddrPortFrom(netip.MustParseAddr(h.public), h.port).String()
}

func (h *home) path() Path { return NewPath(h.seen, inside, h.sockets) }

// send lets the connection send something, and reports whether it is seen to come from elsewhere.
func (h *home) send() (moved bool) {
	if h.timeout > 0 && h.now.Sub(h.last) > h.timeout {
		h.port++
		h.lost++
	}
	h.last = h.now
	return h.seen != h.address()
}

// keepalive has one sent and answered. The answer may be older than what the server finds out by the
// question.
func (h *home) keepalive() {
	switch moved := h.send(); {
	case h.cut:
		h.schedule.Unanswered(h.now)
		h.sockets++
		h.port++
		h.due = h.now.Add(retransmit)
		return
	case moved:
		h.schedule.Answered(h.now, h.path(), challengeSize)
	default:
		h.schedule.Answered(h.now, h.path(), 0)
	}
	h.seen = h.address()
	h.due = h.now.Add(h.schedule.Interval())
}

// attempt begins a try if one is due, and returns when to ask again.
func (h *home) attempt() time.Time {
	try, wait := h.schedule.Begin(h.now)
	if wait > 0 {
		return h.now.Add(wait)
	}
	h.tries++
	h.try, h.ends = &try, h.now.Add(probeTakes+try.Idle)
	if h.timeout > 0 && try.Idle >= h.timeout {
		h.ends = h.ends.Add(failureTakes)
	}
	h.send() // asks for the token
	h.seen = h.address()
	return h.ends
}

func (h *home) finish() {
	try := *h.try
	h.try = nil
	if h.cut || try.Valid.Err() != nil {
		h.schedule.Abandon(h.now, try)
		return
	}
	h.send() // asks for the datagram
	h.seen = h.address()
	before := h.schedule.Interval()
	h.schedule.Result(h.now, try, h.timeout == 0 || try.Idle < h.timeout)
	if h.schedule.Interval() < before {
		h.due = h.now
	}
}

// pass lets time pass.
func (h *home) pass(d time.Duration) { h.passUntil(h.now.Add(d), func() bool { return false }) }

// passUntil lets time pass until end, or until something happens after which stop holds; ok is false then.
func (h *home) passUntil(end time.Time, stop func() bool) (ok bool) {
	for !stop() {
		next := h.ends
		if h.try == nil {
			next = h.attempt()
		}
		if next = first(next, h.due, end); next.After(h.now) {
			h.now = next
		}
		switch {
		case h.try != nil && (!h.now.Before(h.ends) || h.try.Valid.Err() != nil):
			h.finish()
		case !h.now.Before(h.due):
			h.keepalive()
		case !h.now.Before(end):
			return true
		}
	}
	return false
}

func first(times ...time.Time) time.Time { return slices.MinFunc(times, time.Time.Compare) }

// learned lets time pass until nothing more is to be found out, and returns the interval then.
func (h *home) learned(t *testing.T) time.Duration {
	t.Helper()
	if h.passUntil(h.now.Add(time.Hour), func() bool { return h.schedule.Done(h.now) }) {
		t.Fatalf("after an hour the search goes on: %+v\n%s", h.learner.bindings, h.logged)
	}
	return h.schedule.Interval()
}

// noticed is how many lost mappings were noticed.
func (h *home) noticed() int { return strings.Count(h.logged.String(), "lost the mapping") }

// memory is a Store in memory.
type memory struct {
	bindings []NATBinding
	saves    int
	err      error
}

func (m *memory) Load() ([]NATBinding, error) { return slices.Clone(m.bindings), m.err }

func (m *memory) Save(bindings []NATBinding) error {
	m.bindings, m.saves = bindings, m.saves+1
	return m.err
}
