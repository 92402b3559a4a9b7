package keepalive

import (
	"fmt"
	"testing"
	"time"
)

// TestIdleTimeouts: neither side's idle timeout is ever reached, whatever a server says.
func TestIdleTimeouts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ own, peer, want time.Duration }{
		{90 * time.Second, 90 * time.Second, 36 * time.Second},
		{15 * time.Minute, 90 * time.Second, 36 * time.Second},
		{5 * time.Minute, time.Hour, 2 * time.Minute},
		{20 * time.Second, time.Hour, 8 * time.Second},
		{time.Hour, 20 * time.Second, 8 * time.Second},
		{time.Hour, 24 * time.Hour, 270 * time.Second},
		{time.Hour, minIdleTimeout, 2 * time.Second},
	} {
		h := newHome(0)
		h.connect(test.own, test.peer)
		h.pass(time.Hour)
		if got := h.schedule.Interval(); got != test.want {
			t.Errorf("%v: it settles at %v, want %v", test, got, test.want)
		}
	}
	for _, peer := range []time.Duration{0, time.Second, -time.Hour} {
		h := newHome(0)
		h.connect(longIdle, peer)
		h.pass(time.Hour)
		if got := h.schedule.Interval(); got != Default || h.tries != 0 {
			t.Errorf("a peer with an idle timeout of %v: an interval of %v, %d tries", peer, got, h.tries)
		}
	}
}

// TestLooks: after an answer that came late, or may be older than a change, the next one must come soon.
func TestLooks(t *testing.T) {
	t.Parallel()
	for name, doubt := range map[string]func(h *home){
		"late":      func(h *home) { h.schedule.Late(h.now) },
		"uncertain": func(h *home) { h.schedule.Answered(h.now, h.path(), challengeSize) },
	} {
		h := newHome(0)
		learned := h.learned(t)
		doubt(h)
		if got := h.schedule.Interval(); got != Default {
			t.Errorf("%s: the interval is %v", name, got)
		}
		if _, wait := h.schedule.Begin(h.now); wait == 0 {
			t.Errorf("%s: something is tried", name)
		}
		h.schedule.Answered(h.now, h.path(), challengeSize) // one more that is uncertain is enough
		if got := h.schedule.Interval(); got != learned {
			t.Errorf("%s: after an answer the interval is %v", name, got)
		}
		doubt(h)
		h.port++
		h.seen = h.address()
		if h.schedule.Answered(h.now, h.path(), 0); h.noticed() != 1 || h.schedule.Interval() != Default {
			t.Errorf("%s: %d lost mappings were noticed, the interval is %v", name, h.noticed(), h.schedule.Interval())
		}
	}
}

// TestNoLoss: another port alone does not show that a mapping was lost which should have been kept.
func TestNoLoss(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(h *home){
		"a new socket":       func(h *home) { h.sockets++ },
		"before it is known": func(h *home) { h.schedule.Unanswered(h.now); h.learner.Load() }, // which trusts it again
		"another network":    func(h *home) { h.public = "192.0.2.99" },
	} {
		h := newHome(0)
		h.learned(t)
		change(h)
		h.port++
		h.seen = h.address()
		h.schedule.Answered(h.now, h.path(), 0)
		if h.noticed() != 0 {
			t.Errorf("%s: a lost mapping was noticed", name)
		}
	}
}

// TestFixed: nothing changes a fixed interval.
func TestFixed(t *testing.T) {
	t.Parallel()
	s, now := Fixed(time.Minute), time.Now()
	s.Late(now)
	s.Unanswered(now)
	s.Answered(now, NewPath("192.0.2.1:1", inside, 0), challengeSize)
	if s.Learns() || s.Interval() != time.Minute {
		t.Errorf("the interval is %v", s.Interval())
	}
	select {
	case <-s.Changed():
		t.Error("it has changed")
	default:
	}
}

// TestTries: one connection tries at a time, a change of its path makes the outcome void, and who waits hears
// of changes.
func TestTries(t *testing.T) {
	t.Parallel()
	h := newHome(0)
	other := h.learner.Schedule(h.now, h.path(), longIdle, longIdle)
	begins := func(s *Schedule, want time.Duration) (try Try) {
		t.Helper()
		try, wait := s.Begin(h.now)
		if wait != want {
			t.Errorf("the wait is %v, want %v", wait, want)
		}
		return try
	}
	begins(h.schedule, calm)
	h.now = h.now.Add(calm)
	try := begins(h.schedule, 0)
	begins(other, calm)
	h.schedule.Result(h.now, try, true)
	try = begins(other, 0)
	if try.Idle != time.Minute {
		t.Errorf("the other tries %v", try.Idle)
	}
	for name, change := range map[string]func(){
		"elsewhere":  func() { other.Answered(h.now, NewPath("192.0.2.77:1", inside, 0), 0) },
		"unanswered": func() { other.Unanswered(h.now) },
	} {
		if try.Valid.Err() != nil {
			t.Fatal("it is void")
		}
		if change(); try.Valid.Err() == nil {
			t.Errorf("%s: it is still valid", name)
		}
		if _, ok := <-other.Changed(); !ok {
			t.Errorf("%s: nobody is told", name)
		}
		other.Abandon(h.now, try)
		begins(other, provenFor)
		for range 2 {
			other.Answered(h.now, h.path(), 0)
		}
		<-other.Changed()
		begins(other, calm)
		h.now = h.now.Add(calm)
		try = begins(other, 0)
	}
	begins(h.schedule, calm)
	other.Abandon(h.now, try)
	begins(other, calm)
	begins(h.schedule, 0)
}

func ExampleLearner() {
	begin := time.Now()
	learner := NewLearner(nil, nil)
	schedule := learner.Schedule(begin, NewPath("192.0.2.1:4711", inside, 0), longIdle, longIdle)
	fmt.Println("keepalive in", schedule.Interval())
	_, wait := schedule.Begin(begin)
	fmt.Println("try in", wait)
	// Output:
	// keepalive in 15s
	// try in 1m0s
}
