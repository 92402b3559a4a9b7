package admin

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/internal/cli"
	"apquic/internal/settings/limits"
	"apquic/lease"
	"apquic/rules"
)

// TestLimit: what the operator says of a node holds before the rules, is added to and taken away, and explained; what is
// wrong changes nothing.
func TestLimit(t *testing.T) {
	both(t, func(t *testing.T, operations Operations, core *fakeCore, log *strings.Builder) {
		id := newID(t)
		if _, err := operations.Allow(t.Context(), AllowRequest{ID: id.String(), Name: "pi"}); err != nil {
			t.Fatal(err)
		}
		set := func(clear bool, words limits.Words) string {
			t.Helper()
			l, err := operations.Limit(t.Context(), LimitRequest{Node: "pi", Clear: clear, Limits: words})
			if err != nil || l.ID != id || l.Name != "pi" {
				t.Fatalf("%+v, %v", l, err)
			}
			return l.Limits.String()
		}
		said := func(key string) (d rules.Decision) {
			t.Helper()
			e, err := operations.Explain(t.Context(), "pi")
			if err != nil {
				t.Fatal(err)
			}
			for _, d = range e.Limits {
				if d.Limit == key {
					return d
				}
			}
			return d
		}
		set(false, limits.Words{"protocols": "udp", "maxRateOut": "1MB"})
		if got := set(false, limits.Words{"maxClients": "3", "maxRateOut": ""}); got != "maxClients=3 protocols=udp" {
			t.Error(got)
		}
		if d := said("protocols"); d.Rule != rules.Operator || d.Value != "udp" {
			t.Errorf("%+v: the rule of the file says tcp", d)
		}
		for key, value := range map[string]string{
			"maxClients": "0", "maxClientRate": "99999999999999999999", "maxRateIn": "-1", "leaseTime": "soon", "ports": "0-70000", "domains": "a b",
			"protocols": "icmp", "nodes": "x", "name": "x", "nonsense": "", "expires": strings.Repeat("9", 5000), "maxServices": "1\n" + id.String() + " maxServices=9",
		} {
			if l, err := operations.Limit(t.Context(), LimitRequest{Node: "pi", Limits: limits.Words{key: value}}); err == nil {
				t.Errorf("%s=%.20s: %+v", key, value, l)
			}
		}
		if _, err := operations.Limit(t.Context(), LimitRequest{Node: "nobody", Clear: true}); err == nil {
			t.Error("nobody has limits")
		}
		if _, err := operations.Limit(t.Context(), LimitRequest{Node: "pi"}); err == nil {
			t.Error("nothing is a limit")
		}
		if list, err := operations.ListLimits(t.Context()); err != nil || len(list) != 1 || list[0].Limits.String() != "maxClients=3 protocols=udp" {
			t.Errorf("%+v, %v", list, err)
		}
		core.mu.Lock()
		if own := core.own[id]; own.MaxClients.Value != 3 || own.MaxRateOut.By != "" {
			t.Errorf("%+v", own)
		}
		core.mu.Unlock()
		if got := set(true, nil); got != "" || said("protocols").Rule != "guests" {
			t.Errorf("%q, %+v", got, said("protocols"))
		}
		if strings.Count(log.String(), "event=limit") != 3 {
			t.Error(log.String())
		}
	})
}

// TestPin: a service gets a port for good, if the port is nobody's and the rules allow it.
func TestPin(t *testing.T) {
	both(t, func(t *testing.T, operations Operations, core *fakeCore, log *strings.Builder) {
		id, other := newID(t), newID(t)
		core.mu.Lock()
		core.status.Leases = []lease.Lease{{Key: lease.Key{Node: id, Service: "web"}, Port: 20000}, {Key: lease.Key{Node: other, Service: "game"}, Port: 20001}}
		core.mu.Unlock()
		for who, name := range map[string]string{id.String(): "pi", other.String(): "attic"} {
			if _, err := operations.Allow(t.Context(), AllowRequest{ID: who, Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := operations.Pin(t.Context(), PinRequest{Node: "pi", Service: "web", Port: 20001})
		if err == nil || err.Error() != "the port 20001 is that of the service game of attic" || len(cli.Hints(err)) != 1 {
			t.Errorf("a port of another: %v", err)
		}
		if _, err := operations.Limit(t.Context(), LimitRequest{Node: "pi", Limits: limits.Words{"ports": "20000-20002"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := operations.Pin(t.Context(), PinRequest{Node: "pi", Service: "web", Port: 20003}); err == nil || !strings.Contains(err.Error(), rules.Operator) {
			t.Errorf("a port that the limit does not allow: %v", err)
		}
		for _, r := range []PinRequest{{Node: "pi", Service: "nothing"}, {Node: "nobody", Service: "web"}, {}} {
			if p, err := operations.Pin(t.Context(), r); err == nil {
				t.Errorf("%+v: %+v", r, p)
			}
		}
		if p, err := operations.Pin(t.Context(), PinRequest{Node: "pi", Service: "web", Port: 20002}); err != nil || p.Port != 20002 || !p.Pinned || !p.Reconnects {
			t.Errorf("%+v, %v", p, err)
		}
		status, err := operations.Status(t.Context())
		if err != nil || status.Services[0].Pinned || !status.Services[1].Pinned {
			t.Errorf("%+v, %v", status.Services, err)
		}
		if s, err := operations.Unpin(t.Context(), UnpinRequest{Node: "pi", Service: "web"}); err != nil || s.Pinned {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := operations.Unpin(t.Context(), UnpinRequest{Node: "pi", Service: "web"}); err == nil {
			t.Error("unpinned twice")
		}
		if strings.Count(log.String(), "event=pin") != 1 || strings.Count(log.String(), "event=unpin") != 1 {
			t.Error(log.String())
		}
	})
}

// TestLimitsOfMany: 5000 nodes with limits, set at once, are all stored, and one more change or a list of them takes no
// longer than a person waits.
func TestLimitsOfMany(t *testing.T) {
	const nodes = 5000
	core := new(fakeCore)
	a := newAuthority(t, core, new(strings.Builder))
	var text strings.Builder
	for range nodes - 10 {
		fmt.Fprintln(&text, newID(t), "maxClients=10 maxRateOut=1MB")
	}
	if err := os.WriteFile(a.Limits.Path(), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Limits.Reload(func(own rules.Own) error { core.Limit(own); return nil }); err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	for range 10 {
		id := newID(t)
		core.mu.Lock()
		core.status.Leases = append(core.status.Leases, lease.Lease{Key: lease.Key{Node: id, Service: "web"}, Port: 20000})
		core.mu.Unlock()
		working.Go(func() {
			for _, value := range []string{"2", "1"} {
				if _, err := a.Limit(t.Context(), LimitRequest{Node: id.String(), Limits: limits.Words{"maxServices": value}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	begin := time.Now()
	list, err := a.ListLimits(t.Context())
	if err != nil || len(list) != nodes || time.Since(begin) > 2*time.Second {
		t.Errorf("%d, %v after %v", len(list), err, time.Since(begin))
	}
	again, err := limits.Open(a.Limits.Path())
	if err != nil || len(again.Own()) != nodes {
		t.Fatalf("%d are stored, %v", len(again.Own()), err)
	}
	if len(core.own) != nodes {
		t.Errorf("%d hold", len(core.own))
	}
}
