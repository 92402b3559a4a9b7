package limit

import (
	"testing"
	"time"
)

// TestRequests: a burst, and then one per second; a refused node learns when to ask again.
func TestRequests(t *testing.T) {
	t.Parallel()
	for services, burst := range map[int]int{0: 32, 16: 32, 100: 200} {
		r, now := NewRequests(services), time.Now()
		asked := 0
		for r.Ask(now) == 0 {
			asked++
		}
		if asked != burst {
			t.Errorf("%d services: %d requests at once, want %d", services, asked, burst)
		}
		wait := r.Ask(now)
		if wait <= 0 || wait > time.Second || r.Ask(now.Add(wait-10*time.Millisecond)) == 0 || r.Ask(now.Add(wait)) != 0 {
			t.Errorf("%d services: the next one after %v is not right", services, wait)
		}
		asked = 0
		for i := range 600 {
			if r.Ask(now.Add(wait+time.Duration(i)*100*time.Millisecond)) == 0 {
				asked++
			}
		}
		if asked < 58 || asked > 60 {
			t.Errorf("%d services: %d requests in a minute", services, asked)
		}
	}
}

// TestMessages: a flood is read at its rate, and Progress has one of its own.
func TestMessages(t *testing.T) {
	t.Parallel()
	m, now := NewMessages(), time.Now()
	for i := range messageBurst {
		if wait := m.Came(now, 100, false); wait != 0 {
			t.Fatalf("message %d waits %v", i, wait)
		}
	}
	begin := now
	for range 5000 {
		now = now.Add(m.Came(now, 100, false))
	}
	if took := now.Sub(begin); took < 99*time.Second || took > 101*time.Second {
		t.Errorf("5000 messages were read within %v", took)
	}
	for range 2000 {
		if wait := m.Came(now, 100, true); wait != 0 {
			t.Fatalf("Progress waits %v", wait)
		}
	}
	begin = now
	for range 1000 {
		now = now.Add(m.Came(now, 1<<16, true))
	}
	if took := now.Sub(begin); took < time.Minute {
		t.Errorf("1000 large messages were read within %v", took)
	}
}
