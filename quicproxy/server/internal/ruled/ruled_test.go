package ruled

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
	"apquic/internal/usage"
	"apquic/lease"
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
		r, err := New(rules.Rules{guests, family}, nil)
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

// used is a usage.Ledger that says the same of all nodes.
type used uint64

func (used) Add(lease.Key, usage.Counts)     {}
func (u used) Month(certs.NodeID) (n uint64) { return uint64(u) }

// TestLimitMonths: whoever looks after the bytes of a month does while a rule or a limit of a single node says anything
// about them, and once more after that, so that nobody stays out of them.
func TestLimitMonths(t *testing.T) {
	t.Parallel()
	node, most := certs.NodeID{1}, func(by string) rules.Limits {
		return rules.Limits{MaxMonthBytes: rules.Limit[int64]{Value: 1 << 20, By: by}}
	}
	r, err := New(nil, used(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	want := func(when string, looks bool, spent string) {
		t.Helper()
		if got := r.LimitMonths(); got != looks {
			t.Errorf("%s: LimitMonths is %v", when, got)
		}
		if got := r.Clients(node, r.Of(node, "shed"), slog.New(slog.DiscardHandler)).Spent; got != rules.Named(spent) {
			t.Errorf("%s: used up by %q, want %q", when, got, spent)
		}
	}
	want("no rule", false, "")
	r.Set(rules.Rules{{Name: "guests", Nodes: []string{"*"}, Limits: most("guests")}})
	want("a rule", true, "guests")
	r.Set(nil)
	want("the rule is gone", true, "")
	want("nobody is out of them", false, "")
	r.SetOwn(rules.Own{node: most(rules.Operator)})
	want("a limit of the node", true, rules.Operator)
	r.SetOwn(nil)
	want("that is gone", true, "")
	want("nobody is out of them again", false, "")
}
