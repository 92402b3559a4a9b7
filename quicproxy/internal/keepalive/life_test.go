package keepalive

import (
	"testing"
	"time"
)

// TestLearns: whatever the NAT does, the interval settles below its timeout, and no mapping is lost by that.
func TestLearns(t *testing.T) {
	t.Parallel()
	for timeout := 16 * time.Second; timeout < 400*time.Second; timeout += 3 * time.Second {
		h := newHome(timeout)
		got := h.learned(t)
		least := min(timeout*6/10, 270*time.Second)
		if timeout <= 30*time.Second {
			least = Default
		}
		if got >= timeout || got < least {
			t.Errorf("behind a NAT of %v it settles at %v", timeout, got)
		}
		tries := h.tries
		h.pass(4 * time.Hour)
		if h.lost != 0 || h.noticed() != 0 || h.tries != tries {
			t.Errorf("behind a NAT of %v: %d mappings lost, %d noticed, %d tries more", timeout, h.lost, h.noticed(), h.tries-tries)
		}
	}
	if got := newHome(0).learned(t); got != 270*time.Second {
		t.Errorf("behind a NAT that keeps everything it settles at %v", got)
	}
}

// TestLearnsEachWeek: what was learned is proven again, while it is in use.
func TestLearnsEachWeek(t *testing.T) {
	t.Parallel()
	h := newHome(200 * time.Second)
	learned, tries := h.learned(t), h.tries
	h.pass(provenFor - time.Hour)
	if h.tries != tries {
		t.Errorf("%d tries within a week", h.tries-tries)
	}
	h.pass(2 * time.Hour)
	if got := h.schedule.Interval(); h.tries == tries || got != learned || h.lost != 0 {
		t.Errorf("after a week: %d tries, the interval is %v, %d mappings lost", h.tries-tries, got, h.lost)
	}
	h.timeout = 0 // another router
	h.pass(provenFor + time.Hour)
	if got := h.schedule.Interval(); got != 270*time.Second {
		t.Errorf("a week later, behind a NAT that keeps everything, it is %v", got)
	}
}

// TestRemembers: the next process begins with what the one before has learned.
func TestRemembers(t *testing.T) {
	t.Parallel()
	h := newHome(200 * time.Second)
	learned, saves, tries := h.learned(t), h.store.saves, h.tries
	h.connect(longIdle, longIdle)
	if got := h.schedule.Interval(); got != learned {
		t.Errorf("a new process begins with %v, want %v", got, learned)
	}
	h.pass(time.Hour)
	if h.store.saves != saves || h.tries != tries {
		t.Error("it found out again what it knew")
	}
	h.store.bindings[0].Found = h.now.Add(-provenFor)
	h.timeout = 0
	h.connect(longIdle, longIdle)
	if got := h.schedule.Interval(); got != learned {
		t.Errorf("while it proves it again, the interval is %v", got)
	}
	if got := h.learned(t); got != 270*time.Second {
		t.Errorf("after a week, behind a NAT that keeps everything, it settles at %v", got)
	}
}

// TestShrinks: what the NAT kept once it keeps no longer; the node notices and learns again, later each time.
func TestShrinks(t *testing.T) {
	t.Parallel()
	h := newHome(0)
	was := h.learned(t)
	h.timeout = 45 * time.Second
	for losses := 1; losses <= 3; losses++ {
		begin := h.now
		h.passUntil(h.now.Add(time.Hour), func() bool { return h.noticed() == losses })
		if took := h.now.Sub(begin); took > 40*time.Second+was+2*Default {
			t.Errorf("loss %d was noticed after %v", losses, took)
		}
		if got := h.schedule.Interval(); got != Default {
			t.Errorf("the interval is still %v", got)
		}
		tries := h.tries
		h.pass(lossPause(losses) - time.Second)
		if h.tries != tries {
			t.Errorf("after loss %d something was tried within %v", losses, lossPause(losses))
		}
		if got := h.learned(t); got < 30*time.Second || got > 40*time.Second {
			t.Errorf("it settles at %v", got)
		}
		if h.pass(24 * time.Hour); h.noticed() != losses {
			t.Errorf("%d mappings were lost", h.noticed())
		}
		// For the next loss.
		h.store.bindings[0].Proven = 5 * time.Minute
		h.learner.Load()
	}
}

// TestDistrusts: after an outage what was learned is proven again before it is used. Here the NAT is another
// one behind the same address.
func TestDistrusts(t *testing.T) {
	t.Parallel()
	h := newHome(0)
	was := h.learned(t)
	for _, timeout := range []time.Duration{0, 45 * time.Second} {
		h.cut = true
		h.pass(6 * time.Minute)
		if got := h.schedule.Interval(); got != Default {
			t.Errorf("in an outage the interval is %v", got)
		}
		h.timeout, h.cut = timeout, false
		h.pass(time.Minute)
		if got := h.schedule.Interval(); got != Default {
			t.Errorf("after an outage the interval is %v", got)
		}
		if got := h.learned(t); timeout == 0 && got != was || timeout > 0 && (got < 30*time.Second || got > 40*time.Second) {
			t.Errorf("behind a NAT of %v it settles at %v", timeout, got)
		}
	}
	if h.noticed() != 0 {
		t.Errorf("%d mappings were lost", h.noticed())
	}
}

// TestMoves: each network has its own interval, which is used as soon as it is clear where the node is.
func TestMoves(t *testing.T) {
	t.Parallel()
	h := newHome(0)
	move := func(public string, timeout time.Duration) { h.public, h.timeout = public, timeout }
	home := h.learned(t)
	move("192.0.2.99", 45*time.Second)
	begin := h.now
	h.passUntil(h.now.Add(time.Hour), func() bool { return h.schedule.Interval() == Default })
	if took := h.now.Sub(begin); took > home {
		t.Errorf("it was noticed after %v", took)
	}
	away := h.learned(t)
	if away < 30*time.Second || away > 40*time.Second {
		t.Errorf("there it settles at %v", away)
	}
	saves := h.store.saves
	move(publicIP, 0)
	h.pass(away + 3*Default)
	if got := h.schedule.Interval(); got != home {
		t.Errorf("back home the interval is %v, want %v", got, home)
	}
	move("192.0.2.99", 45*time.Second)
	h.pass(home + 3*Default)
	if got := h.schedule.Interval(); got != away {
		t.Errorf("away again the interval is %v, want %v", got, away)
	}
	if h.noticed() != 0 || h.store.saves != saves || len(h.store.bindings) != 2 {
		t.Errorf("a move was taken for a loss: %+v", h.store.bindings)
	}
}
