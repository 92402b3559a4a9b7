package limit

import (
	"testing"
	"time"
)

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
