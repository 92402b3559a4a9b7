package path

import (
	"testing"
	"time"
)

// TestQuietMeter: the node asks once when nothing has come for a while after traffic, and notices that
// quickly.
func TestQuietMeter(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	m := QuietMeter{Received: 7}
	look := func(received uint64) bool {
		now = now.Add(m.Pause())
		return m.Look(received, now)
	}
	silence := func(received uint64) time.Duration {
		t.Helper()
		for begin := now; now.Sub(begin) < time.Minute; {
			if look(received) {
				return now.Sub(begin)
			}
		}
		return 0
	}
	if d := silence(7); d != 0 {
		t.Errorf("asks after %v of nothing", d)
	}
	for n := range uint64(20) {
		if look(8 + n) {
			t.Error("asks while something comes")
		}
	}
	if d := silence(27); d < quietAfter || d > quietAfter+quietLook {
		t.Errorf("asks %v after the last packet", d)
	}
	m.Asked(30, false, now) // the answer
	if d := silence(30); d != 0 {
		t.Errorf("asks again after %v", d)
	}
	look(31)
	m.Asked(33, m.GoesOn(), now) // for another reason
	if d := silence(33); d < quietAfter || d > quietAfter+quietLook {
		t.Errorf("asks %v after an answer among traffic", d)
	}
}
