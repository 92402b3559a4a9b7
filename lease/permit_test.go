package lease_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
)

// only is a request that may get one of these ports.
func only(t *testing.T, r lease.Request, ports string) lease.Request {
	r.Ports = mustRange(t, ports)
	return r
}

// TestPortsOfRequest: a node gets its ports of those that it may have alone, moves there if that has changed, and hears when
// none of them is left.
func TestPortsOfRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant(only(t, request(1, "web"), "20004-20005"), 20004)
	writes := w.store.count()
	w.grant(only(t, request(1, "web"), "20004-20005"), 20004)
	if w.store.count() != writes {
		t.Error("a grant that changes nothing was written")
	}
	w.grant(only(t, request(1, "ssh"), "20004-20005"), 20005)
	err := w.grantFails(only(t, request(1, "mail"), "20004-20005"), nil)
	if full, ok := errors.AsType[*lease.RangeFullError](err); !ok || full.Size != 2 || full.Attached != 2 {
		t.Errorf("%v", err)
	}
	w.grantFails(only(t, request(1, "mail", 20006), "20004-20005"), lease.ErrPortOutOfRange)
	w.grantFails(only(t, request(1, "mail"), "30000"), nil) // none of the server's
	g := w.grant(only(t, request(1, "web"), "20008"), 20008)
	if g.Previous.Port != 20004 || !strings.Contains(g.Why, "for this node are now 20008") {
		t.Errorf("moved from %v: %s", g.Previous, g.Why)
	}
	w.wantFree(20004)
	w.wantStored(20005, 20008)
	w.detach(request(1, "web"))
	renamed := only(t, request(1, "site"), "20000-20003")
	renamed.Services = []string{"site", "ssh"}
	if former, ok := w.lessor.TakesOver(renamed); ok {
		t.Errorf("takes over %v", former)
	}
	w.grant(renamed, 20000) // it may not have the port of its former name
	w.wantStored(20000, 20005, 20008)
	w.grant(request(2, "web"), 20001) // others may have any
}

// TestMaxPerNodeOfRequest: a node may have more or fewer services than others.
func TestMaxPerNodeOfRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *lease.Config) { c.MaxPerNode = 2 })
	limited := func(n byte, service string, most int) lease.Request {
		r := request(n, service)
		r.MaxPerNode = most
		return r
	}
	w.grant(limited(1, "a", 1), 20000)
	if err := w.grantFails(limited(1, "b", 1), lease.ErrTooManyServices); !strings.Contains(err.Error(), "more than 1") {
		t.Error(err)
	}
	w.grant(limited(2, "a", 3), 20001)
	w.grant(limited(2, "b", 3), 20002)
	w.grant(limited(2, "c", 3), 20003)
	w.grantFails(limited(2, "d", 3), lease.ErrTooManyServices)
	w.grantFails(request(2, "d"), lease.ErrTooManyServices)
}

// TestHoldTimeOf: the ports of some are held longer, also over a restart.
func TestHoldTimeOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *lease.Config) {
			c.HoldTime = time.Hour
			c.HoldTimeOf = func(key lease.Key) time.Duration {
				if key.Node[0] == 1 {
					return 5 * time.Hour
				}
				return 0
			}
		})
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(1, "web"))
		w.detach(request(2, "web"))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.wantStored(20000)
		w.crash()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.wantStored(20000)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.wantStored()
	})
}
