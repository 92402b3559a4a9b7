package lease_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

// pin pins the port of a service, and wants it to have that port.
func (w *world) pin(r lease.Request, port, want uint16) {
	w.t.Helper()
	pinned, _, err := w.lessor.Pin(w.t.Context(), r.Key, port)
	if err != nil || pinned.Port != want || !pinned.Pinned {
		w.t.Fatalf("pin to %d: %+v, %v", port, pinned, err)
	}
}

// TestPinKeeps: a pinned port is its owner's although the hold time is over, the server crashed, the operator does not
// know the node, the node stopped offering it, and no other port is left; until Unpin.
func TestPinKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.pin(request(1, "web"), 0, 20000)
		w.pin(request(1, "web"), 0, 20000) // again
		w.detach(request(1, "web"))
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		w.wantStored(20000)
		w.crash()
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		w.wantStored(20000)
		for n := byte(2); ; n++ { // all others
			if g, err := w.lessor.Grant(t.Context(), request(n, "web")); err != nil {
				if _, full := errors.AsType[*lease.RangeFullError](err); !full {
					t.Fatal(err)
				}
				break
			} else if g.Port == 20000 {
				t.Fatal("a pinned port was given away")
			}
		}
		w.grant(request(1, "web", 20003), 20000) // whatever it wants
		w.detach(request(1, "web"))
		if _, err := w.lessor.Unpin(t.Context(), leasetest.Key(1, "web")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.wantFree(20000)
		if _, err := w.lessor.Unpin(t.Context(), leasetest.Key(1, "web")); !errors.Is(err, lease.ErrNoLease) {
			t.Errorf("unpin: %v", err)
		}
		w.stop()
	})
}

// TestPinMoves: a lease moves to a free port of the range, attached or not, and nowhere else.
func TestPinMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		pinFails := func(key lease.Key, port uint16, want error) {
			t.Helper()
			if _, _, err := w.lessor.Pin(t.Context(), key, port); !errors.Is(err, want) {
				t.Errorf("pin to %d: %v, want %v", port, err, want)
			}
		}
		_, _, err := w.lessor.Pin(t.Context(), leasetest.Key(1, "web"), 20001)
		if taken, ok := errors.AsType[*lease.PortTakenError](err); !ok || taken.Lease.Key != leasetest.Key(2, "web") {
			t.Errorf("pin to a taken port: %v", err)
		}
		pinFails(leasetest.Key(1, "web"), 1, lease.ErrPortOutOfRange)
		pinFails(leasetest.Key(9, "web"), 0, lease.ErrNoLease)
		pinFails(lease.Key{Service: "group"}, 0, lease.ErrNoLease)
		w.ports.occupy(true, 20002)
		pinFails(leasetest.Key(1, "web"), 20002, lease.ErrPortBusy)
		w.ports.occupy(false, 20002)
		w.store.breakDown()
		pinFails(leasetest.Key(1, "web"), 20003, errBroken)
		pinFails(leasetest.Key(1, "web"), 0, errBroken)
		w.store.repair()
		w.wantBound(20000, leasetest.Key(1, "web"))
		if w.lessor.IsPinned(leasetest.Key(1, "web")) {
			t.Error("pinned although that could not be stored")
		}
		time.Sleep(time.Minute)
		w.pin(request(1, "web"), 20003, 20003)
		w.wantFree(20000)
		w.wantBound(20003, leasetest.Key(1, "web"))
		if l := w.lessor.LeasesOf(leasetest.Key(1, "web").Node)[0]; l.State() != lease.Held {
			t.Errorf("a moved lease is %s", l.State())
		}
		w.grant(request(1, "web"), 20003)
		r := request(1, "web")
		r.Ports, err = lease.ParsePortRange("20000-20001")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.lessor.Grant(t.Context(), r); err == nil {
			t.Error("a node has a pinned port that it may not have")
		} else if _, ok := errors.AsType[*lease.PinnedError](err); !ok {
			t.Error(err)
		}
		w.stop()
	})
}

// TestPinRoom: a pinned lease makes no room for another service of its node, and goes along with a renamed one.
func TestPinRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *lease.Config) { c.MaxPerNode = 1 })
		w.grant(request(1, "web"), 20000)
		w.pin(request(1, "web"), 0, 20000)
		w.detach(request(1, "web"))
		w.grantFails(request(1, "other"), lease.ErrTooManyServices)
		renamed := request(1, "www", 20000)
		renamed.Services = []string{"www"}
		w.grant(renamed, 20000)
		if !w.lessor.IsPinned(renamed.Key) {
			t.Error("a renamed service is no longer pinned")
		}
		w.stop()
	})
}

// TestPinAtOnce: whoever pins, moves and asks at once, there is one lease, and it has the port that was pinned last.
func TestPinAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		var working sync.WaitGroup
		for i := range uint16(50) {
			working.Go(func() { w.lessor.Pin(t.Context(), leasetest.Key(1, "web"), 20001+i%3) })
			working.Go(func() { w.lessor.Grant(t.Context(), request(1, "web", 20000)) })
			working.Go(func() { w.lessor.Detach(t.Context(), leasetest.Key(1, "web")) })
		}
		working.Wait()
		synctest.Wait()
		all := w.lessor.Leases()
		if len(all) != 1 || !all[0].Pinned || all[0].Port < 20001 {
			t.Errorf("%+v", all)
		}
		w.wantStored(all[0].Port)
		w.stop()
	})
}

// TestPinAgainstWish: a pinned service gets its port although its node wants one that it may not have. Without the pin that
// is refused.
func TestPinAgainstWish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.pin(request(1, "web"), 0, 20000)
		allowed := request(1, "web", 20003)
		var err error
		if allowed.Ports, err = lease.ParsePortRange("20000-20001"); err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]lease.Request{"of the server": request(1, "web", 9), "of the node": allowed} {
			if g, err := w.lessor.Grant(t.Context(), r); err != nil || g.Port != 20000 || !g.WantedTaken {
				t.Errorf("not one %s: %+v, %v", name, g, err)
			}
		}
		if _, err := w.lessor.Unpin(t.Context(), leasetest.Key(1, "web")); err != nil {
			t.Fatal(err)
		}
		w.grantFails(request(1, "web", 9), lease.ErrPortOutOfRange)
		w.grantFails(allowed, lease.ErrPortOutOfRange)
		w.stop()
	})
}

// TestPinOutlastsItsNode: a node gives up a pinned port neither alone nor with all others; it is held.
func TestPinOutlastsItsNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.grant(request(1, "ssh"), 20001)
		w.pin(request(1, "web"), 0, 20000)
		w.release(request(1, "web"))
		w.wantStored(20000, 20001)
		if l := w.lessor.Leases()[0]; l.State() != lease.Held || !l.Pinned {
			t.Errorf("released: %+v", l)
		}
		w.detach(request(1, "ssh"))
		if err := w.lessor.ForgetNode(t.Context(), leasetest.Key(1, "").Node); err != nil {
			t.Fatal(err)
		}
		w.wantStored(20000)
		w.grant(request(1, "web"), 20000)
		if err := w.lessor.ForgetNode(t.Context(), leasetest.Key(1, "").Node); err != nil {
			t.Errorf("a pinned port in use: %v", err)
		}
		w.detach(request(1, "web"))
		if err := w.lessor.Forget(t.Context(), leasetest.Key(1, "web")); err != nil { // the operator does
			t.Fatal(err)
		}
		w.wantFree(20000)
		w.stop()
	})
}

// TestPinOfRemovedNode: the pinned port of a node that was removed is reserved like its others, and free after that; also
// if it was removed while the server was down.
func TestPinOfRemovedNode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ known, down bool }{
		"known": {true, false}, "of an open server": {false, false}, "while the server was down": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				known := test.known
				w := newWorld(t, func(c *lease.Config) { c.Keep = func(lease.Key) bool { return known } })
				w.grant(request(1, "web"), 20000)
				w.pin(request(1, "web"), 0, 20000)
				w.detach(request(1, "web"))
				time.Sleep(48 * time.Hour)
				synctest.Wait()
				w.wantStored(20000)
				known = false
				if test.down {
					w.crash()
				} else if err := w.lessor.HoldNode(t.Context(), leasetest.Key(1, "").Node, time.Now().Add(lease.ReserveTime)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(lease.ReserveTime - time.Hour)
				synctest.Wait()
				w.wantStored(20000)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				w.wantStored()
				w.stop()
			})
		})
	}
}
