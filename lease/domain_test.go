package lease_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

func forDomain(n byte, service, domain string) lease.Request {
	return lease.Request{Key: leasetest.Key(n, service), Origin: "tcp://127.0.0.1:80", Domain: domain}
}

func withDomains(c *lease.Config) { c.Domains = true }

// grantDomain asks and wants the domain.
func (w *world) grantDomain(r lease.Request) lease.Grant {
	w.t.Helper()
	g, err := w.lessor.Grant(w.t.Context(), r)
	if err != nil || g.Domain != r.Domain || g.Port != 0 || !g.Attached() || g.Key != r.Key || g.WantedTaken {
		w.t.Fatalf("Grant(%v) = %+v, %v", r, g, err)
	}
	w.wantServed(r.Domain, r.Key)
	return g
}

// wantServed compares who has a domain in the binder; nobody: the zero key.
func (w *world) wantServed(domain string, key lease.Key) {
	w.t.Helper()
	w.ports.mu.Lock()
	defer w.ports.mu.Unlock()
	if got := w.ports.domains[domain]; got != key {
		w.t.Errorf("%s is served for %v, want %v", domain, got, key)
	}
}

func (w *world) wantStoredDomains(domains ...string) {
	w.t.Helper()
	stored, err := w.store.Store.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for name, leases := range map[string][]lease.Lease{"stored": stored, "in memory": w.lessor.Leases()} {
		var got []string
		for _, l := range leases {
			got = append(got, l.Endpoint().String())
		}
		if fmt.Sprint(got) != fmt.Sprint(domains) {
			w.t.Errorf("%s are %v, want %v", name, got, domains)
		}
	}
}

// TestDomainRefusals: what cannot be leased is refused with a reason, and changes nothing.
func TestDomainRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withDomains, func(c *lease.Config) {
			c.MaxDomains = 5
			c.CheckDomain = func(domain string) error {
				if domain == "*.co.uk" {
					return errors.New("it has names of many owners")
				}
				return nil
			}
		})
		w.grantDomain(forDomain(1, "web", "www.example.org"))
		w.grantDomain(forDomain(1, "all", "*.home.example.org"))
		writes := w.store.count()
		both := forDomain(2, "web", "a.example.org")
		both.WantedPort = 20000
		for _, test := range []struct {
			request lease.Request
			want    error
			text    string
		}{
			{forDomain(2, "web", "www.example.org"), lease.ErrDomainTaken, "www.example.org belongs to another node"},
			{forDomain(1, "other", "www.example.org"), lease.ErrDomainTaken, `belongs to the service "web" of this node`},
			{forDomain(2, "web", "a.home.example.org"), lease.ErrDomainTaken, "*.home.example.org belongs to another node"},
			{forDomain(2, "web", "192.0.2.1"), lease.ErrBadDomain, "IP address"},
			{forDomain(2, "web", "Www.example.org"), lease.ErrBadDomain, "not a domain"},
			{forDomain(2, "web", "localhost"), lease.ErrBadDomain, "two parts"},
			{both, lease.ErrBadDomain, "either a domain or a port"},
			{forDomain(2, "web", "*.co.uk"), lease.ErrBadDomain, "of many owners"},
		} {
			if err := w.grantFails(test.request, test.want); !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v: %v", test.request, err)
			}
		}
		if w.store.count() != writes {
			t.Error("something was written")
		}
		w.grantDomain(forDomain(2, "web", "*.example.org")) // although a name that it stands for is another node's
		w.grantDomain(forDomain(1, "web", "www.example.org"))
		w.grantDomain(forDomain(1, "one", "one.home.example.org"))
		w.grantDomain(forDomain(3, "web", "example.org"))
		w.grantFails(forDomain(4, "web", "more.example.com"), lease.ErrTooManyDomains)
		w.grant(request(4, "web"), 20000)
		w.wantStoredDomains("*.example.org", "*.home.example.org", "example.org", "one.home.example.org", "www.example.org", "20000")

		w.config.Domains = false
		w.crash()
		err := w.grantFails(forDomain(1, "web", "www.example.org"), lease.ErrNoDomains)
		if !strings.Contains(err.Error(), "leases no domains") {
			t.Error(err)
		}
		w.wantServed("www.example.org", lease.Key{})
	})
}

// TestDomainIsKept: a domain is its owner's while the node is away, over a crash of the server, and, for a
// known node, for ever.
func TestDomainIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withDomains, func(c *lease.Config) {
			c.Keep = func(key lease.Key) bool { return key.Node == leasetest.Key(1, "").Node }
		})
		known, guest := forDomain(1, "web", "www.example.org"), forDomain(2, "web", "guest.example.org")
		w.grantDomain(known)
		w.grantDomain(guest)
		w.detach(known)
		w.detach(guest)
		time.Sleep(30 * time.Minute)
		w.crash()
		w.wantServed(known.Domain, known.Key)
		for _, taken := range []string{known.Domain, guest.Domain} {
			w.grantFails(forDomain(3, "web", taken), lease.ErrDomainTaken)
		}
		writes := w.store.count()
		w.grantDomain(guest)
		if same := w.grantDomain(guest); same.Previous != (lease.Endpoint{}) || w.store.count() != writes+1 {
			t.Errorf("%+v after %d writes", same, w.store.count()-writes)
		}
		w.detach(guest)

		time.Sleep(2 * time.Hour)
		w.wantStoredDomains(known.Domain)
		w.wantServed(known.Domain, lease.Key{}) // it has lapsed
		w.grantFails(forDomain(3, "web", known.Domain), lease.ErrDomainTaken)
		w.grantDomain(forDomain(3, "web", guest.Domain))
		w.grantDomain(known)
		w.release(known)
		w.grantDomain(forDomain(3, "other", known.Domain))
		if history, err := w.store.History(t.Context()); err != nil || len(history) > 0 {
			t.Errorf("the history is %v, %v: names would fill it", history, err)
		}
	})
}

// TestDomainOfRemovedNode: nobody gets the domain of a node that was removed, and it is not served.
func TestDomainOfRemovedNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withDomains)
		r := forDomain(1, "web", "www.example.org")
		w.grantDomain(r)
		if err := w.lessor.HoldNode(t.Context(), r.Node, time.Now().Add(lease.ReserveTime)); err != nil {
			t.Fatal(err)
		}
		w.wantServed(r.Domain, lease.Key{})
		w.grantFails(forDomain(2, "web", r.Domain), lease.ErrDomainTaken)
		time.Sleep(lease.ReserveTime + time.Hour)
		w.grantDomain(forDomain(2, "web", r.Domain))
	})
}

// TestDomainMoves: a service changes from a port to a domain, to another domain, and back; a renamed service
// keeps its domain.
func TestDomainMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withDomains)
		w.grant(request(1, "web"), 20000)
		g := w.grantDomain(forDomain(1, "web", "a.example.org"))
		if g.Previous != (lease.Endpoint{Port: 20000}) || g.Why != "the node asked for this domain" {
			t.Errorf("%+v", g)
		}
		w.wantFree(20000)
		g = w.grantDomain(forDomain(1, "web", "b.example.org"))
		if g.Previous != (lease.Endpoint{Domain: "a.example.org"}) {
			t.Errorf("%+v", g)
		}
		w.grantDomain(forDomain(2, "web", "a.example.org"))

		renamed := forDomain(1, "site", "b.example.org")
		renamed.Services = []string{"site"}
		w.grantFails(renamed, lease.ErrDomainTaken) // its former name is in use
		w.detach(forDomain(1, "web", ""))
		if former, ok := w.lessor.TakesOver(renamed); !ok || former != leasetest.Key(1, "web") {
			t.Errorf("TakesOver: %v, %v", former, ok)
		}
		w.grantDomain(renamed)
		w.wantStoredDomains("a.example.org", "b.example.org")

		g, err := w.lessor.Grant(t.Context(), request(1, "site"))
		if err != nil || g.Port == 0 || g.Previous != (lease.Endpoint{Domain: "b.example.org"}) || g.Why != "the node no longer asks for its domain" {
			t.Errorf("%+v, %v", g, err)
		}
		w.wantServed("b.example.org", lease.Key{})

		// Another service, which asks for any port, is no new name of one with a domain.
		w.detach(forDomain(2, "web", ""))
		other := request(2, "other")
		other.Services = []string{"other"}
		if _, ok := w.lessor.TakesOver(other); ok {
			t.Error("a port takes over a domain")
		}
		if _, err := w.lessor.Grant(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		w.wantServed("a.example.org", leasetest.Key(2, "web"))
	})
}

// TestDomainClaimants: of many nodes that ask for one domain at once, one gets it.
func TestDomainClaimants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withDomains)
		results := make(chan error)
		for n := range byte(20) {
			go func() {
				_, err := w.lessor.Grant(t.Context(), forDomain(n, "web", "www.example.org"))
				results <- err
			}()
		}
		won := 0
		for range 20 {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, lease.ErrDomainTaken):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d nodes have the domain", won)
		}
	})
}

// TestDomainStoreFails: whatever becomes of a write, no two services have a domain, and the store agrees in
// the end.
func TestDomainStoreFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*faultyStore){"before": (*faultyStore).breakDown, "after": (*faultyStore).breakAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, withDomains)
				fail(w.store)
				w.grantFails(forDomain(1, "web", "www.example.org"), errBroken)
				w.wantServed("www.example.org", lease.Key{})
				w.store.repair()
				w.grantDomain(forDomain(2, "web", "www.example.org"))
				time.Sleep(time.Minute)
				w.wantStoredDomains("www.example.org")
				w.crash()
				w.grantFails(forDomain(1, "web", "www.example.org"), lease.ErrDomainTaken)
				w.grantDomain(forDomain(2, "web", "www.example.org"))
			})
		})
	}
}
