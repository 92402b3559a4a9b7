package lease_test

import (
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

// overUDP is what a node asks for whose service was over TCP.
func overUDP(n byte, service string) lease.Request {
	r := request(n, service)
	r.Transport = lease.UDP
	return r
}

func (w *world) wantOpenFor(port uint16, want lease.Transport) {
	w.t.Helper()
	if opened, open := w.ports.openedFor(port); !open || opened != want {
		w.t.Errorf("port %d is open: %v, for %v, want %v", port, open, opened, want)
	}
}

// TestChangedTransportBusy: a port that cannot be opened for its new transport stays its owner's, is tried
// again, and expires like that of a node that has gone.
func TestChangedTransportBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.ports.occupy(true, 20000)
		w.grantFails(overUDP(1, "web"), lease.ErrPortBusy)
		w.wantState(1, 20000, lease.Held) // nobody is behind it
		w.pass(time.Minute)
		w.wantStored(20000)
		w.grant(request(2, "web", 20000), 20001)
		w.grantFails(overUDP(1, "web"), lease.ErrPortBusy)

		w.ports.occupy(false, 20000)
		w.pass(5 * time.Second)
		w.wantOpenFor(20000, lease.UDP)
		w.crash()
		w.wantOpenFor(20000, lease.UDP)
		w.grant(overUDP(1, "web"), 20000)
		w.pass(2 * time.Hour)
		w.wantState(1, 20000, lease.Attached)

		w.ports.occupy(true, 20000)
		w.grantFails(request(1, "web"), lease.ErrPortBusy)
		w.pass(time.Hour) // its node does not ask again
		w.wantStored()
		w.stop()
	})
}

// TestChangedTransportFails: the port is open for the new transport, whether or not that can be written, and
// its owner gets it when it asks again.
func TestChangedTransportFails(t *testing.T) {
	t.Parallel()
	bothFailures(t, func(t *testing.T, w *world, fail func()) {
		w.grant(request(1, "web"), 20000)
		fail()
		w.grantFails(overUDP(1, "web"), errBroken)
		w.wantState(1, 20000, lease.Held)
		w.wantOpenFor(20000, lease.UDP)
		w.settle()
		w.wantStored(20000)
		w.grant(overUDP(1, "web"), 20000)
		w.wantState(1, 20000, lease.Attached)
	})
}

// TestChangedTransportLost: the lease was lost, which is noticed after its port was opened anew.
func TestChangedTransportLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := w.grant(request(1, "web"), 20000)
	if err := w.store.Delete(t.Context(), mine.Key, mine.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Put(t.Context(), lease.Lease{Key: leasetest.Key(9, "web"), Port: 20000}); err != nil {
		t.Fatal(err)
	}
	w.grant(overUDP(1, "web"), 20001)
	w.wantFree(20000)
}
