package ruled

import (
	"testing"
	"testing/synctest"
	"time"

	"apquic/rules"
)

// TestExpired: the number changes whenever a rule expires, also if another one no longer has since the last look.
func TestExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		until := func(name string, in time.Duration) rules.Rule {
			return rules.Rule{Name: name, Nodes: []string{name}, Limits: rules.Limits{Expires: rules.Limit[time.Time]{Value: time.Now().Add(in), By: name}}}
		}
		guests, family := until("guests", 0), until("family", time.Second)
		r, err := New(rules.Rules{guests, family})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uint64]bool{r.Expired(t.Context()): true}
		r.Set(rules.Rules{until("guests", time.Hour), family})
		time.Sleep(time.Second)
		if n := r.Expired(t.Context()); seen[n] {
			t.Errorf("%d again, though another rule has expired", n)
		}
	})
}
