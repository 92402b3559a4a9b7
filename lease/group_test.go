package lease_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
)

func forGroup(name string, wanted uint16) lease.Request {
	return lease.Request{Key: lease.Key{Service: name}, WantedPort: wanted}
}

func newGroupWorld(t *testing.T, groups map[string]bool) *world {
	t.Helper()
	return newWorld(t, func(c *lease.Config) {
		c.Ports, c.MaxPerNode, c.Domains = mustRange(t, "20000-20009"), 1, true
		c.Keep = func(key lease.Key) bool { return key.IsGroup() && groups[key.Service] }
	})
}

// TestGroupLease: a group has a lease of its own, which outlasts the hold time and a restart, whoever asks;
// groups do not count as the services of one node, and nobody renames one.
func TestGroupLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newGroupWorld(t, map[string]bool{"photos": true, "mail": true})
		w.grant(forGroup("photos", 0), 20000)
		w.grant(forGroup("mail", 0), 20001) // although a node may have only one
		w.grant(request(1, "photos"), 20002)
		w.detach(forGroup("photos", 0))
		mail := forGroup("mail", 20000)
		mail.Services = []string{"mail"} // otherwise it would take over the port of photos
		w.grant(mail, 20001)
		w.crash()
		w.pass(4 * time.Hour)
		other := request(2, "web", 20000)
		if g, err := w.lessor.Grant(t.Context(), other); err != nil || g.Port == 20000 {
			t.Errorf("another service got the group's port: %+v, %v", g, err)
		}
		w.grant(forGroup("photos", 0), 20000)
	})
}

// TestSharedGroup: while others use the group, nobody moves it or changes its transport; a wanted port that
// is taken moves nothing, and is no mistake. Nothing of that is written.
func TestSharedGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newGroupWorld(t, map[string]bool{"photos": true})
		w.grant(request(1, "web"), 20000)
		w.grant(forGroup("photos", 20000), 20001)
		writes := w.store.count()
		shared := func(wanted uint16) lease.Request {
			r := forGroup("photos", wanted)
			r.Shared = true
			return r
		}
		w.grant(shared(0), 20001)
		w.grant(shared(20001), 20001)
		w.grant(shared(20000), 20001)
		moved := w.grantFails(shared(20005), lease.ErrShared)
		if e, ok := errors.AsType[*lease.SharedError](moved); !ok || e.Lease.Port != 20001 {
			t.Errorf("%v", moved)
		}
		udp := shared(0)
		udp.Transport = lease.UDP
		w.grantFails(udp, lease.ErrShared)
		named := shared(0)
		named.Domain = "www.example.org"
		w.grantFails(named, lease.ErrShared)
		if n := w.store.count() - writes; n != 0 {
			t.Errorf("%d writes", n)
		}
		w.grant(forGroup("photos", 20005), 20005) // alone it may
	})
}

// TestFormerGroup: the port of a group that the settings no longer name is closed, and nobody else gets it;
// the group does, if it is named again.
func TestFormerGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		groups := map[string]bool{"photos": true, "mail": true}
		w := newGroupWorld(t, groups)
		w.grant(forGroup("photos", 0), 20000)
		w.grant(forGroup("mail", 0), 20001)
		delete(groups, "photos")
		w.crash()
		w.wantFree(20000)
		w.wantBound(20001, lease.Key{Service: "mail"})
		w.pass(lease.ReserveTime - time.Hour)
		if g, err := w.lessor.Grant(t.Context(), request(1, "web", 20000)); err != nil || g.Port == 20000 {
			t.Errorf("%+v, %v", g, err)
		}
		groups["photos"] = true
		w.crash()
		w.grant(forGroup("photos", 0), 20000)
	})
}
