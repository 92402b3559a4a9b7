package limit

import (
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	t.Parallel()
	r := NewRates[string](time.Minute, 2, 2)
	now := time.Now()
	allow := func(key string, want bool) {
		t.Helper()
		if got := r.Allow(key, now); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	allow("a", true)
	allow("a", true)
	allow("a", false)
	allow("b", true)
	allow("c", false) // a third key, while both are in use
	now = now.Add(time.Minute)
	allow("a", true)
	allow("a", false)
	allow("c", true) // b has its burst again and is forgotten
	now = now.Add(time.Hour)
	allow("a", true)
	allow("a", true)
	allow("a", false)
	if len(r.buckets) > 2 {
		t.Errorf("%d keys are remembered", len(r.buckets))
	}
}
