package lease_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

// TestPortsOfOthersComeLast: a new lease gets a port that nobody had, then the one given up longest ago, then
// the one that lapsed longest ago, even after a restart.
func TestPortsOfOthersComeLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newKeepingWorld(t, 1, 2)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.grant(request(3, "web"), 20002)
		w.detach(request(2, "web"))
		w.pass(time.Minute)
		w.detach(request(1, "web"))
		w.detach(request(3, "web"))
		w.pass(3 * time.Hour) // 3 is over, the others lapse, 2 first
		w.crash()
		w.grant(request(4, "web"), 20003)
		w.grant(request(5, "web"), 20002)
		w.grant(request(6, "web"), 20001)
		w.wantStored(20000, 20001, 20002, 20003)
		w.grant(request(1, "web"), 20000)
		w.grantFails(request(7, "web"), nil) // 1 is there

		w.crash()
		w.release(request(4, "web"))
		if g := w.grant(request(2, "web"), 20003); g.Previous.Port != 20001 || g.Why != lease.GivenAway.String() {
			t.Errorf("the owner was told %+v", g)
		}
		w.stop()
	})
}

// TestOldPortIsPreferred: an ended lease gets its port back if nobody else has it.
func TestOldPortIsPreferred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(1, "web"))
		w.detach(request(2, "web"))
		w.pass(2 * time.Hour)
		w.wantStored()
		w.crash()
		w.grant(request(3, "web", 20001), 20001)
		if g := w.grant(request(1, "web"), 20000); g.Previous.Port != 0 {
			t.Errorf("nothing changed: %+v", g)
		}
		if g := w.grant(request(2, "web"), 20002); g.Previous.Port != 20001 || g.Why != lease.Expired.String() {
			t.Errorf("the owner was told %+v", g)
		}
		if g := w.grant(request(2, "web"), 20002); g.Previous.Port != 0 {
			t.Errorf("told again: %+v", g)
		}
		if g := w.grant(request(2, "web", 20005), 20005); g.Previous.Port != 20002 || !strings.Contains(g.Why, "asked") {
			t.Errorf("asked for it: %+v", g)
		}
		w.stop()
	})
}

func TestRangeChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newKeepingWorld(t, 1)
		w.grant(request(1, "web"), 20000)
		w.config.Ports = mustRange(t, "30000-30001")
		w.crash()
		if g := w.grant(request(1, "web"), 30000); g.Previous.Port != 20000 || g.Why != "the server's ports are now 30000-30001" {
			t.Errorf("the owner was told %+v", g)
		}
		w.wantStored(30000)
		w.stop()
	})
}

func services(r lease.Request, names ...string) lease.Request {
	r.Services = names
	return r
}

// TestRenamedService: a vanished name passes on its port.
func TestRenamedService(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		r    lease.Request
		want uint16
	}{
		"same origin":        {services(request(1, "site"), "site", "ssh"), 20000},
		"the port":           {services(lease.Request{Key: leasetest.Key(1, "site"), Origin: "tcp://127.0.0.1:99", WantedPort: 20000}, "site"), 20000},
		"another origin":     {services(lease.Request{Key: leasetest.Key(1, "site"), Origin: "tcp://127.0.0.1:99"}, "site"), 20003},
		"no origin":          {services(lease.Request{Key: leasetest.Key(1, "site")}, "site"), 20003},
		"still there":        {services(request(1, "site"), "site", "web"), 20003},
		"nothing told":       {request(1, "site"), 20003},
		"attached":           {services(request(1, "site", 20001), "site", "web"), 20003},
		"another node's":     {services(request(2, "site", 20000), "site"), 20003},
		"another port first": {services(request(1, "site", 20005), "site"), 20005},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.grant(request(1, "web"), 20000)
				w.grant(lease.Request{Key: leasetest.Key(1, "ssh"), Origin: "tcp://127.0.0.1:22"}, 20001)
				w.grant(lease.Request{Key: leasetest.Key(1, "listen")}, 20002)
				w.detach(request(1, "web"))
				w.detach(request(1, "listen"))
				g := w.grant(test.r, test.want)
				if g.Previous.Port != 0 {
					t.Errorf("a service that had no address: %+v", g)
				}
				w.crash()
				w.wantBound(test.want, test.r.Key)
				if has := len(w.lessor.Leases()); test.want == 20000 && has != 3 || test.want != 20000 && has != 4 {
					t.Errorf("%d leases", has)
				}
				w.stop()
			})
		})
	}
}

// TestRenameWhenFull: a node with as many leases as it may have does not lose one by renaming another.
func TestRenameWhenFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *lease.Config) { c.MaxPerNode = 3 })
		for i, service := range []string{"a", "b", "c"} {
			r := request(1, service)
			r.Origin += service
			w.grant(r, 20000+uint16(i))
		}
		w.crash()
		renamed := services(request(1, "d"), "d", "a", "b")
		renamed.Origin += "c"
		w.grant(renamed, 20002)
		w.wantBound(20000, leasetest.Key(1, "a"))
		w.wantBound(20001, leasetest.Key(1, "b"))

		replaced := services(request(1, "e"), "e", "a", "b")
		w.crash()
		w.grant(replaced, 20003) // d makes room, since the node has it no more
		w.wantBound(20000, leasetest.Key(1, "a"))
		w.wantBound(20001, leasetest.Key(1, "b"))
		w.stop()
	})
}

// TestRenamedPortBusy: a port that a renamed service could not take over is opened again for its lease.
func TestRenamedPortBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "old"), 20000)
		w.detach(request(1, "old"))
		synctest.Wait()
		w.ports.occupy(true, 20000)
		w.grant(services(request(1, "new"), "new"), 20001)
		w.wantFree(20000)
		w.ports.occupy(false, 20000)
		w.pass(5 * time.Second)
		w.wantBound(20000, leasetest.Key(1, "old"))
		w.stop()
	})
}

// TestRenameFails: both names know whose port it is, whether or not it was written.
func TestRenameFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		w.detach(request(1, "web"))
		fail()
		w.grantFails(services(request(1, "site"), "site"), errBroken)
		w.wantBound(20000, leasetest.Key(1, "web"))
		w.settle()
		w.wantStored(20000)
		w.wantBound(20000, leasetest.Key(1, "web"))
		fail()
		w.grantFails(services(request(1, "site"), "site"), errBroken)
		w.store.repair()
		w.grant(request(1, "web"), 20000) // it is back, under its old name
		w.settle()
		w.wantStored(20000)
		w.detach(request(1, "web"))
		w.grant(services(request(1, "site"), "site"), 20000)
		w.settle()
		w.wantStored(20000)
	})
}
