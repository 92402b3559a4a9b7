package admin

import (
	"slices"
	"strings"
	"testing"
	"time"

	"apquic/lease"
	"apquic/rules"
)

// TestExplain: what holds for a node, by which rule, and which of its services that refuses; here and through the socket.
func TestExplain(t *testing.T) {
	both(t, func(t *testing.T, operations Operations, core *fakeCore, log *strings.Builder) {
		id, other := newID(t), newID(t)
		core.mu.Lock()
		core.status.Leases = []lease.Lease{
			{Key: lease.Key{Node: id, Service: "web"}, Port: 20000}, {Key: lease.Key{Node: id, Service: "game"}, Port: 20001, Transport: lease.UDP},
			{Key: lease.Key{Node: id, Service: "blog"}, Domain: "blog.example.org", HeldUntil: time.Now()}, {Key: lease.Key{Node: other, Service: "web"}, Port: 20002},
		}
		core.mu.Unlock()
		if _, err := operations.Allow(t.Context(), AllowRequest{ID: id.String(), Name: "pi"}); err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{"pi", id.String()} {
			e, err := operations.Explain(t.Context(), who)
			if err != nil || e.ID != id || e.Name != "pi" || !slices.Equal(e.Rules, []string{"guests", "all"}) || e.MonthLimit != 5<<20 {
				t.Fatalf("%+v, %v", e, err)
			}
			for _, want := range []rules.Decision{{Limit: "protocols", Value: "tcp", Rule: "guests"}, {Limit: "domains", Value: "none", Rule: "all"}, {Limit: "maxServices", Value: "16"}} {
				if !slices.Contains(e.Limits, want) {
					t.Errorf("%+v is missing in %+v", want, e.Limits)
				}
			}
			if len(e.Services) != 3 {
				t.Fatalf("%+v", e.Services)
			}
			for _, s := range e.Services {
				if want := map[string]string{"web": "", "game": "guests", "blog": "all"}[s.Service]; s.Rule != want || (s.Refused == "") != (want == "") {
					t.Errorf("%+v", s)
				}
			}
		}
		if e, err := operations.Explain(t.Context(), other.String()); err != nil || !slices.Equal(e.Rules, []string{"all"}) {
			t.Errorf("%+v, %v", e, err)
		}
		if _, err := operations.Explain(t.Context(), "nobody"); err == nil {
			t.Error("nobody is explained")
		}
	})
}

// someRules are those of the authorities in these tests.
func someRules() (rules.Rules, rules.Limits) {
	limits := rules.Limits{MaxServices: rules.Limit[int]{Value: 16}}
	return rules.Rules{
		{Name: "guests", Nodes: []string{"p*"}, Limits: rules.Limits{Protocols: rules.Limit[[]string]{Value: []string{rules.TCP}, By: "guests"}}},
		{Name: "others", Nodes: []string{"attic"}, Limits: rules.Limits{MaxServices: rules.Limit[int]{Value: 1, By: "others"}}},
		{Name: "all", Nodes: []string{"*"}, Limits: rules.Limits{Domains: rules.Limit[[]string]{By: "all"}, MaxMonthBytes: rules.Limit[int64]{Value: 5 << 20, By: "all"}}},
	}, limits
}
