package account

import (
	"testing"
	"time"
)

// TestRequests: a burst, and then one per second; a refused node learns when to ask again.
func TestRequests(t *testing.T) {
	t.Parallel()
	for services, burst := range map[int]int{0: 32, 16: 32, 100: 200} {
		r, now := newRequests(services), time.Now()
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
