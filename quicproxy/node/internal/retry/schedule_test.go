package retry

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
)

// TestScheduleTurns: a node asks for no more than the server takes, and each service gets its turn, however often the
// others want something else; services that are gone leave nothing.
func TestScheduleTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSchedule(10, 60)
		asked := make(map[string]int)
		begin := time.Now()
		for round := range 1000 {
			names := []string{"a", "b", "c", "d", fmt.Sprint("new-", round)}
			s.Begin(func(name string) bool { return name != fmt.Sprint("new-", round-1) })
			for _, name := range names {
				s.Changed(name)
				if s.Due(name) {
					asked[name]++
					s.Answered(name, nil)
				}
			}
			if len(s.queue) > len(names) {
				t.Fatalf("%v wait", s.queue)
			}
			time.Sleep(100 * time.Millisecond)
		}
		all := 0
		for _, n := range asked {
			all += n
		}
		if most := 10 + int(time.Since(begin)/time.Second); all > most || all < most-2 || asked["a"]-asked["d"] > 2 || asked["d"] < 20 {
			t.Errorf("%d requests, of %d: %v", all, most, asked)
		}
		s.Begin(func(string) bool { return true })
		s.Begin(func(string) bool { return true })
		if s.Again() != nil {
			t.Errorf("%v still wait", s.queue)
		}
	})
}

// TestScheduleChanged: what was refused is asked for at once when it is something else, unless the server takes nothing
// at all.
func TestScheduleChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSchedule(0, 0)
		s.Begin(func(string) bool { return true })
		s.Answered("web", &quicproxy.FailureError{Code: framing.ErrorPortOutOfRange, RetryAfter: time.Hour})
		if s.Due("web") || !s.Due("ssh") {
			t.Error("the wrong one is due")
		}
		s.Changed("web")
		if !s.Due("web") {
			t.Error("another port is not asked for")
		}
		s.Answered("web", &quicproxy.FailureError{Code: framing.ErrorBusy, RetryAfter: time.Minute})
		s.Changed("web")
		if s.Due("web") || s.Due("ssh") {
			t.Error("a busy server is asked")
		}
		begin := time.Now()
		s.Answered("ssh", &quicproxy.FailureError{Code: framing.ErrorBusy, RetryAfter: time.Minute})
		<-s.Again()
		s.Begin(func(string) bool { return true })
		if took := time.Since(begin); took < time.Minute || !s.Due("web") {
			t.Errorf("after %v", took)
		}
	})
}

// TestScheduleForgets: what was refused and is no longer wanted causes no further rounds.
func TestScheduleForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSchedule(0, 0)
		all := func(string) bool { return true }
		s.Begin(all)
		if !s.Due("web") {
			t.Error("it is not due")
		}
		s.Answered("web", &quicproxy.FailureError{Code: framing.ErrorInternal})
		begin := time.Now()
		<-s.Again()
		if time.Since(begin) < MinBackoff {
			t.Errorf("after %v", time.Since(begin))
		}
		s.Begin(all) // nobody asks
		if s.Again() != nil {
			t.Error("there is another round, at once")
		}
	})
}
