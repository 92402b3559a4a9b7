package lease_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

// bothFailures runs a test with a store that fails before and after it has written.
func bothFailures(t *testing.T, test func(t *testing.T, w *world, fail func())) {
	for _, name := range []string{"before", "after"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				fail := w.store.breakDown
				if name == "after" {
					fail = w.store.breakAfter
				}
				test(t, w, fail)
				w.stop()
			})
		})
	}
}

// settle lets Run make the store agree with memory.
func (w *world) settle() {
	w.store.repair()
	time.Sleep(6 * time.Second)
	synctest.Wait()
}

func TestNewGrantFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		fail()
		w.grantFails(request(1, "web"), errBroken)
		w.wantFree(20000)
		if got := w.lessor.Leases(); len(got) != 0 {
			t.Errorf("a lease is there: %v", got)
		}
		w.settle()
		w.wantStored()
		fail()
		w.grantFails(request(1, "web"), errBroken)
		w.store.repair()
		w.grant(request(1, "web"), 20000) // the same again, at once
		w.settle()
		w.wantStored(20000)
	})
}

// TestFailedGrantBlocksNobody: what a failed grant may have left in the store goes.
func TestFailedGrantBlocksNobody(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		fail()
		w.grantFails(request(1, "web"), errBroken)
		w.store.repair()
		g, err := w.lessor.Grant(t.Context(), request(2, "web"))
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.wantStored(g.Port)
		lowest := uint16(20000)
		if g.Port == lowest {
			lowest++
		}
		w.grant(request(3, "web"), lowest)
	})
}

func TestRenewFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		w.detach(request(1, "web"))
		before := w.lessor.Leases()[0]
		fail()
		w.grantFails(request(1, "web"), errBroken)
		after := w.lessor.Leases()[0]
		if after.Port != before.Port || after.HeldUntil != before.HeldUntil {
			t.Errorf("%+v became %+v", before, after)
		}
		w.wantBound(20000, before.Key)
		w.settle()
		w.wantStored(20000)
		time.Sleep(time.Hour)
		synctest.Wait()
		w.wantStored()
	})
}

func TestMoveFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		fail()
		w.grantFails(request(1, "web", 20005), errBroken)
		w.wantBound(20000, leasetest.Key(1, "web"))
		w.wantFree(20005)
		w.settle()
		w.wantStored(20000)
		fail()
		w.grantFails(request(1, "web", 20005), errBroken)
		w.store.repair()
		w.grant(request(1, "web", 20005), 20005)
		w.wantFree(20000)
		w.settle()
		w.wantStored(20005)
	})
}

// TestDetachFails: the node has gone whether or not that can be written.
func TestDetachFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		fail()
		if err := w.lessor.Detach(t.Context(), leasetest.Key(1, "web")); !errors.Is(err, errBroken) {
			t.Errorf("Detach: %v", err)
		}
		if w.lessor.Leases()[0].Attached() {
			t.Error("the lease is attached")
		}
		time.Sleep(time.Minute)
		w.settle()
		w.wantStored(20000)
		if w.logged.count("cannot be stored") != 1 || w.logged.count("can be stored again") != 1 {
			t.Errorf("the log:\n%s", w.logged.text.String())
		}
		time.Sleep(time.Hour - time.Minute)
		synctest.Wait()
		w.wantStored()
	})
}

func TestReleaseFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		fail()
		if err := w.lessor.Release(t.Context(), leasetest.Key(1, "web")); !errors.Is(err, errBroken) {
			t.Errorf("Release: %v", err)
		}
		w.wantBound(20000, leasetest.Key(1, "web"))
		w.grantFails(request(2, "web", 20000), errBroken)
		w.settle()
		w.wantStored(20000) // as before
		fail()
		if err := w.lessor.Release(t.Context(), leasetest.Key(1, "web")); !errors.Is(err, errBroken) {
			t.Errorf("Release: %v", err)
		}
		w.store.repair()
		w.release(request(1, "web"))
		w.settle()
		w.wantStored()
		w.wantFree(20000)
	})
}

func TestExpiryFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(1, "web"))
		w.detach(request(2, "web"))
		fail()
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if stored, _ := w.store.Store.List(t.Context()); len(stored) > 0 {
			w.wantBound(20000, leasetest.Key(1, "web")) // nobody else can have it yet
		}
		w.store.repair()
		w.grant(request(1, "web"), 20000)
		w.settle()
		w.wantStored(20000)
		w.wantFree(20001)
	})
}

func TestLoadWhileWritesFail(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(2, "web"))
		w.stop()
		time.Sleep(2 * time.Hour)
		w.store.failWith(func(op string) (before, after bool) { return op != "list", false })
		w.start()
		w.wantBound(20000, leasetest.Key(1, "web"))
		w.wantFree(20001)
		w.settle()
		w.wantStored(20000)
	})
}

// TestCrashAtEveryStep kills the server at each access to the store, before and after, and starts it again:
// who was told a port has it.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for step := range 14 {
		for _, written := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { crashAt(t, step, written) })
		}
	}
}

func crashAt(t *testing.T, step int, written bool) {
	w := newWorld(t)
	told := make(map[lease.Key]uint16)
	w.grant(request(9, "web"), 20000)
	told[leasetest.Key(9, "web")] = 20000
	n := 0
	w.store.failWith(func(op string) (before, after bool) {
		if op == "list" {
			return n > step, false
		}
		n++
		return n > step+1 || n == step+1 && !written, n == step+1
	})
	grant := func(r lease.Request) {
		if g, err := w.lessor.Grant(t.Context(), r); err == nil {
			told[r.Key] = g.Port
		} else {
			delete(told, r.Key) // it may have moved or not
		}
	}
	grant(request(1, "web"))
	grant(request(2, "web", 20005))
	w.lessor.Detach(t.Context(), leasetest.Key(1, "web"))
	grant(request(2, "web", 20003))
	grant(request(1, "web"))
	delete(told, leasetest.Key(2, "web"))
	w.lessor.Release(t.Context(), leasetest.Key(2, "web"))
	grant(request(3, "web"))
	w.stop()
	w.store.repair()
	w.start()
	synctest.Wait()
	for key, port := range told {
		w.wantBound(port, key)
	}
	seen := make(map[lease.Key]bool)
	for _, l := range w.lessor.Leases() {
		seen[l.Key] = true
		w.wantBound(l.Port, l.Key)
	}
	if bound := w.ports.snapshot(); len(bound) != len(seen) {
		t.Errorf("%d ports are bound for %d leases", len(bound), len(seen))
	}
	w.wantStored(portsOf(w.lessor.Leases())...)
	w.stop()
}
