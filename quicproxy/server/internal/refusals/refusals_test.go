package refusals

import (
	"errors"
	"fmt"
	"maps"
	"testing"
)

// TestCounts: each error counts once, under the name of its reason, and the total is the sum.
func TestCounts(t *testing.T) {
	t.Parallel()
	full, busy, slow := errors.New("full"), errors.New("busy"), errors.New("slow")
	counts := New("failed", Reason{"room", []error{full, busy}}, Reason{"time", []error{slow}})
	for _, err := range []error{full, fmt.Errorf("a client: %w", busy), slow, errors.New("something else"), nil} {
		counts.Add(err)
	}
	if got, want := counts.ByName(), map[string]uint64{"room": 2, "time": 1, "failed": 2}; !maps.Equal(got, want) || counts.Total() != 5 {
		t.Errorf("%v, %d in total", got, counts.Total())
	}
}
