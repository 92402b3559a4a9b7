package lease_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

// authorized is who may keep leases.
type authorized map[byte]bool

func (a authorized) keep(key lease.Key) bool { return a[key.Node[0]] }

func newKeepingWorld(t *testing.T, nodes ...byte) (*world, authorized) {
	t.Helper()
	known := make(authorized)
	for _, n := range nodes {
		known[n] = true
	}
	return newWorld(t, func(c *lease.Config) { c.Ports, c.Keep = mustRange(t, "20000-20003"), known.keep }), known
}

func (w *world) holdNode(n byte, until time.Time) {
	w.t.Helper()
	if err := w.lessor.HoldNode(w.t.Context(), leasetest.Key(n, "").Node, until); err != nil {
		w.t.Fatalf("HoldNode(%d): %v", n, err)
	}
}

// wantState wants a lease of this port for the first service of a node.
func (w *world) wantState(n byte, port uint16, want lease.State) {
	w.t.Helper()
	for _, l := range w.lessor.Leases() {
		if l.Key == leasetest.Key(n, "web") {
			if l.Port != port || l.State() != want {
				w.t.Errorf("node %d has port %d %s, want %d %s", n, l.Port, l.State(), port, want)
			}
			return
		}
	}
	w.t.Errorf("node %d has no lease, want port %d %s", n, port, want)
}

// pass lets time pass, and Run do what is then due.
func (w *world) pass(d time.Duration) {
	time.Sleep(d + time.Millisecond)
	synctest.Wait()
}

// TestHoldNode: nobody gets the ports of a removed node for 30 days, whatever is restarted, and they are
// closed.
func TestHoldNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, known := newKeepingWorld(t, 1, 2, 3, 4)
		w.grant(request(1, "web"), 20000)
		w.grant(request(1, "ssh"), 20001)
		w.grant(request(2, "web"), 20002)
		w.detach(request(1, "ssh"))
		delete(known, 1)
		until := time.Now().Add(lease.ReserveTime)
		w.holdNode(1, until) // attached or not
		w.wantFree(20000, 20001)
		w.wantState(1, 20000, lease.Reserved)
		w.detach(request(1, "web")) // its connection ends after that
		w.wantStored(20000, 20001, 20002)

		w.pass(24 * time.Hour)
		w.crash() // the hold time does not shorten it
		w.wantState(1, 20000, lease.Reserved)
		w.wantFree(20000, 20001)
		w.holdNode(1, time.Now().Add(time.Hour)) // nor does this
		w.pass(28 * 24 * time.Hour)
		w.grant(request(2, "web", 20000), 20002)
		w.grant(request(2, "web"), 20002)
		w.crash()
		w.grant(request(2, "web"), 20002)
		w.grant(request(3, "web"), 20003)
		w.grantFails(request(4, "web"), nil)
		w.wantState(1, 20000, lease.Reserved)

		w.pass(time.Until(until)) // over: it is still not authorized
		w.wantStored(20002, 20003)
		w.grant(request(4, "web"), 20000)
		w.stop()
	})
}

// TestHoldNodeIsTakenBack: a node that is allowed again gets its ports.
func TestHoldNodeIsTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, known := newKeepingWorld(t, 1, 2)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		for _, n := range []byte{1, 2} {
			delete(known, n)
			w.holdNode(n, time.Now().Add(lease.ReserveTime))
			known[n] = true
		}
		w.grant(request(1, "web"), 20000)
		w.wantState(1, 20000, lease.Attached)
		w.detach(request(1, "web"))
		w.wantState(1, 20000, lease.Held)
		w.wantBound(20000, leasetest.Key(1, "web"))
		w.pass(lease.ReserveTime)
		w.wantState(2, 20001, lease.Lapsed) // not back yet, but it may be
		w.grant(request(2, "web"), 20001)
		w.stop()
	})
}

// TestHoldNodeFails: what could not be stored still applies, and is stored later.
func TestHoldNodeFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		fail()
		if err := w.lessor.HoldNode(t.Context(), leasetest.Key(1, "web").Node, time.Now().Add(48*time.Hour)); !errors.Is(err, errBroken) {
			t.Errorf("HoldNode: %v", err)
		}
		w.wantState(1, 20000, lease.Reserved)
		w.settle()
		w.crash()
		w.wantState(1, 20000, lease.Reserved)
		w.pass(47 * time.Hour)
		w.wantState(1, 20000, lease.Reserved)
		w.pass(time.Hour)
		w.wantStored()
	})
}

// TestRemovedWhileDown: nobody could say HoldNode.
func TestRemovedWhileDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, known := newKeepingWorld(t, 1, 2)
		w.grant(request(1, "web"), 20000) // attached until the crash
		w.grant(request(2, "web"), 20001)
		w.detach(request(2, "web"))
		w.pass(2 * time.Hour)
		w.wantState(2, 20001, lease.Lapsed)
		w.stop()
		delete(known, 1)
		delete(known, 2)
		w.start()
		w.wantState(2, 20001, lease.Reserved)
		w.pass(time.Hour)
		w.wantState(1, 20000, lease.Reserved)
		w.pass(lease.ReserveTime - time.Hour)
		w.wantStored(20000)
		w.pass(time.Hour)
		w.wantStored()
		w.stop()
	})
}

// TestLapse: a known node's lease outlasts the hold time, others' do not.
func TestLapse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newKeepingWorld(t, 1)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(1, "web"))
		w.detach(request(2, "web"))
		w.wantState(1, 20000, lease.Held)
		writes := w.store.count()
		w.pass(time.Hour)
		w.wantStored(20000)
		if n := w.store.count() - writes; n != 1 {
			t.Errorf("%d writes for one lease that ended and one that lapsed", n)
		}
		w.wantState(1, 20000, lease.Lapsed)
		w.wantFree(20000) // nobody waits for a node that is away for long
		w.pass(365 * 24 * time.Hour)
		w.crash()
		w.wantState(1, 20000, lease.Lapsed)
		w.wantFree(20000)
		w.grant(request(1, "web"), 20000)
		w.wantState(1, 20000, lease.Attached)
		w.stop()
	})
}

// TestForget: the owner of the server gives up what a node does not use.
func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newKeepingWorld(t, 1)
		web := leasetest.Key(1, "web")
		if err := w.lessor.Forget(t.Context(), web); !errors.Is(err, lease.ErrNoLease) {
			t.Errorf("no lease: %v", err)
		}
		w.grant(request(1, "web"), 20000)
		if err := w.lessor.Forget(t.Context(), web); !errors.Is(err, lease.ErrAttached) {
			t.Errorf("attached: %v", err)
		}
		w.detach(request(1, "web"))
		for _, away := range []func(){
			func() { w.detach(request(1, "web")) },
			func() { w.detach(request(1, "web")); w.pass(2 * time.Hour) },
			func() { w.holdNode(1, time.Now().Add(time.Hour)) },
		} {
			w.grant(request(1, "web", 20000), 20000)
			away()
			if err := w.lessor.Forget(t.Context(), web); err != nil {
				t.Error(err)
			}
			w.wantStored()
			w.wantFree(20000)
		}
		if g := w.grant(request(1, "web"), 20001); g.Previous.Port != 20000 || g.Why != lease.Released.String() {
			t.Errorf("after that: %+v", g)
		}
		w.stop()
	})
}

// TestForgetNode: a node gives up all that it does not use, and nothing of others.
func TestForgetNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newKeepingWorld(t, 1)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(2, "web"))
		node := leasetest.Key(1, "web").Node
		if err := w.lessor.ForgetNode(t.Context(), node); !errors.Is(err, lease.ErrAttached) {
			t.Errorf("attached: %v", err)
		}
		w.detach(request(1, "web"))
		for range 2 {
			if err := w.lessor.ForgetNode(t.Context(), node); err != nil {
				t.Error(err)
			}
		}
		w.wantFree(20000)
		w.wantStored(20001)
		w.stop()
	})
}

// TestAllowedLater: what counts is whether a node is known when its lease would end, rather than when it
// asked.
func TestAllowedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, known := newKeepingWorld(t)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		known[1] = true
		w.detach(request(1, "web"))
		w.detach(request(2, "web"))
		w.pass(2 * time.Hour)
		w.wantState(1, 20000, lease.Lapsed)
		w.wantStored(20000)
		w.stop()
		delete(known, 1)
		w.start()
		w.wantState(1, 20000, lease.Reserved) // it is one of those that were known
		w.stop()
	})
}
