package lease_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

func TestNewLessor(t *testing.T) {
	t.Parallel()
	good := lease.Config{Store: lease.NewMemoryStore(), Ports: mustRange(t, "1-2"), Binder: newPorts(t)}
	for name, spoil := range map[string]func(*lease.Config){
		"store":  func(c *lease.Config) { c.Store = nil },
		"binder": func(c *lease.Config) { c.Binder = nil },
		"range":  func(c *lease.Config) { c.Ports = lease.PortRange{} },
		"hold":   func(c *lease.Config) { c.HoldTime = -1 },
		"node":   func(c *lease.Config) { c.MaxPerNode = -1 },
	} {
		config := good
		spoil(&config)
		if _, err := lease.NewLessor(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	l, err := lease.NewLessor(good)
	if err != nil || l.HoldTime() != 180*time.Minute {
		t.Fatalf("%v, %v", l.HoldTime(), err)
	}
	if _, err := l.Grant(t.Context(), request(1, "web")); err == nil {
		t.Error("Grant before Load: no error")
	}
}

// TestTransport: a port belongs to one lease, whatever the transport; another transport opens it anew, and is
// stored.
func TestTransport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	game := request(1, "game")
	w.grant(game, 20000)
	other := request(2, "game")
	other.WantedPort, other.Transport = 20000, lease.UDP
	if g, err := w.lessor.Grant(t.Context(), other); err != nil || g.Port == 20000 || !g.WantedTaken {
		t.Errorf("the port of another for UDP: %+v, %v", g, err)
	}
	for _, transport := range []lease.Transport{lease.UDP, lease.TCPAndUDP, lease.TCP} {
		game.Transport = transport
		w.grant(game, 20000)
		if opened, _ := w.ports.openedFor(20000); opened != transport {
			t.Errorf("the port is open for %v, want %v", opened, transport)
		}
		writes := w.store.count()
		w.grant(game, 20000)
		stored, err := w.store.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if stored[0].Transport != transport || w.store.count() != writes {
			t.Errorf("stored is %v, want %v; %d writes more", stored[0].Transport, transport, w.store.count()-writes)
		}
	}
	w.ports.occupy(true, 20000)
	game.Transport = lease.TCPAndUDP
	w.grantFails(game, lease.ErrPortBusy)
	w.ports.occupy(false, 20000)
	w.grant(game, 20000)
}

func TestGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant(request(1, "web"), 20000)
	w.grant(request(1, "ssh"), 20001)
	w.grant(request(2, "web"), 20002)
	w.wantStored(20000, 20001, 20002)

	writes := w.store.count()
	w.grant(request(1, "web"), 20000)
	if w.store.count() != writes {
		t.Error("a grant that changes nothing was written")
	}
	changed := request(1, "web")
	changed.Origin = "tcp://127.0.0.1:81"
	w.grant(changed, 20000)
	if w.store.count() != writes+1 {
		t.Error("the new origin was not written")
	}
	w.release(request(1, "ssh")) // attached
	w.wantFree(20001)
	w.wantStored(20000, 20002)
	w.release(request(1, "ssh")) // again
	w.grant(request(3, "web"), 20003)
	w.grant(request(1, "ssh"), 20004)
}

func TestGrantRefusesNonsense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grantFails(lease.Request{}, nil)
	w.grantFails(request(1, ""), nil)
	w.grantFails(request(1, strings.Repeat("x", 256)), nil)
	w.grantFails(request(1, "\xff"), nil)
	err := w.grantFails(request(1, "web", 80), lease.ErrPortOutOfRange)
	typed, ok := errors.AsType[*lease.PortOutOfRangeError](err)
	if !ok || typed.Port != 80 || !strings.Contains(err.Error(), "80") || !strings.Contains(err.Error(), "20000-20009") {
		t.Errorf("the error has no numbers: %v", err)
	}
	w.wantStored()
}

func TestWantedPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ports.occupy(true, 20008)
	w.grant(request(1, "web", 20005), 20005)
	w.grant(request(2, "web", 20005), 20000) // another's
	w.grant(request(3, "web", 20008), 20001) // another program's
	w.grant(request(1, "ssh", 20005), 20002) // its own, but of another service
	w.grant(request(2, "web", 20009), 20009) // moves
	w.wantFree(20000)
	w.grant(request(2, "web", 20008), 20009) // cannot move, stays
	w.grant(request(2, "web", 20005), 20009)
	w.grant(request(2, "web"), 20009)
	w.grant(request(2, "web", 20009), 20009)
	w.wantStored(20001, 20002, 20005, 20009)

	w.detach(request(2, "web"))
	w.grant(request(2, "web", 20000), 20000) // a held one moves, too
	w.wantFree(20009)
	w.wantStored(20000, 20001, 20002, 20005)
}

func TestRangeFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *lease.Config) { c.Ports = mustRange(t, "20000-20003") })
	w.ports.occupy(true, 20001)
	w.grant(request(1, "web"), 20000)
	w.grant(request(2, "web"), 20002)
	w.grant(request(3, "web"), 20003)
	w.detach(request(3, "web"))
	err := w.grantFails(request(4, "web"), nil)
	full, ok := errors.AsType[*lease.RangeFullError](err)
	if !ok || full.Size != 4 || full.Attached != 2 || full.Held != 1 || full.Unbindable != 1 {
		t.Fatalf("%#v", err)
	}
	if want := "of the 4 in 20000-20003, 2 are leased, 1 are kept for nodes that are away, 1 cannot be opened"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if full.Cause == nil || !strings.Contains(full.Cause.Error(), "in use") {
		t.Errorf("the cause is %v", full.Cause)
	}
	w.grant(request(3, "web"), 20003) // who has one keeps it
	w.release(request(2, "web"))
	w.grant(request(4, "web"), 20002)
}

// TestLeasedPortThatCannotBeOpenedIsTold: its node has no other.
func TestLeasedPortThatCannotBeOpenedIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.stop()
		w.ports.occupy(true, 20000)
		w.start()
		time.Sleep(time.Minute)
		if n := w.logged.count("cannot be opened"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		w.stop()
	})
}

func TestUnbindableIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ports.occupy(true, 20000)
		w.grant(request(1, "web"), 20001)
		w.ports.occupy(false, 20000)
		w.grant(request(2, "web"), 20002)
		time.Sleep(6 * time.Second)
		w.grant(request(3, "web"), 20000)
		if n := w.logged.count("cannot be opened"); n != 0 {
			t.Errorf("logged %d times, though no lease waits for the port", n)
		}
		w.stop()
	})
}

// TestOwnPortBusy: a lease is never moved silently, and kept while its owner asks.
func TestOwnPortBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.ports.occupy(true, 20000)
		w.crash()
		for range 10 {
			err := w.grantFails(request(1, "web"), lease.ErrPortBusy)
			if !strings.Contains(err.Error(), "20000") {
				t.Errorf("no number: %v", err)
			}
			time.Sleep(20 * time.Minute)
		}
		w.wantStored(20000)
		w.grant(request(2, "web"), 20001)
		w.ports.occupy(false, 20000)
		time.Sleep(6 * time.Second)
		w.wantBound(20000, leasetest.Key(1, "web")) // for its clients to wait there
		w.grant(request(1, "web"), 20000)

		w.ports.occupy(true, 20000)
		w.crash()
		w.grant(request(1, "web", 20005), 20005) // it asked for that
		w.ports.occupy(true, 20001)
		w.crash()
		time.Sleep(2 * time.Hour)
		w.grant(request(2, "web"), 20002) // held in vain, and gone
		w.stop()
	})
}

func TestMaxPerNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *lease.Config) { c.MaxPerNode = 3 })
		for i, service := range []string{"a", "b", "c"} {
			w.grant(request(1, service), 20000+uint16(i))
		}
		err := w.grantFails(request(1, "d"), lease.ErrTooManyServices)
		if !strings.Contains(err.Error(), "3") {
			t.Errorf("no number: %v", err)
		}
		w.grant(request(1, "c"), 20002)
		w.grant(request(2, "a"), 20003)

		w.detach(request(1, "b"))
		time.Sleep(time.Minute)
		w.detach(request(1, "a"))
		w.detach(request(2, "a"))
		w.store.breakDown()
		w.grantFails(request(1, "d"), errBroken)
		w.store.repair()
		w.grant(request(1, "d"), 20004) // b, held for longest, makes room
		w.grant(request(1, "e"), 20005) // then a
		w.grantFails(request(1, "a"), lease.ErrTooManyServices)
		w.grantFails(request(1, "b"), lease.ErrTooManyServices)
		w.wantStored(20002, 20003, 20004, 20005)

		w.config.MaxPerNode = 1 // from now on
		w.crash()
		w.grant(request(1, "c"), 20002)
		w.grantFails(request(1, "d"), lease.ErrTooManyServices)
		synctest.Wait()
		w.wantStored(20002, 20003, 20004, 20005)
		w.stop()
	})
}

// TestOtherServer: the store has the last word about a port.
func TestOtherServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other, err := w.store.Put(t.Context(), lease.Lease{Key: leasetest.Key(9, "web"), Port: 20000})
		if err != nil {
			t.Fatal(err)
		}
		w.grant(request(1, "web"), 20001)
		w.grant(request(2, "web", 20000), 20002)
		w.grant(request(2, "web", 20000), 20002) // cannot move there
		w.wantFree(20000)

		// A foreign hand gives the port of a lease away.
		mine := w.lessor.Leases()[0]
		if err := w.store.Delete(t.Context(), mine.Key, mine.Revision); err != nil {
			t.Fatal(err)
		}
		other.Port = mine.Port
		if _, err := w.store.Put(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		w.detach(request(2, "web"))
		if err := w.lessor.Detach(t.Context(), mine.Key); !errors.Is(err, lease.ErrTaken) {
			t.Errorf("Detach: %v", err)
		}
		w.wantFree(20001)
		w.grant(request(1, "web"), 20003) // 20000 is left alone for a minute
		time.Sleep(2 * time.Minute)
		w.grant(request(3, "web"), 20000)
		w.stop()
	})
}

// TestLostLeaseIsReplaced: the same, noticed by Grant.
func TestLostLeaseIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := w.grant(request(1, "web"), 20000)
	if err := w.store.Delete(t.Context(), mine.Key, mine.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Put(t.Context(), lease.Lease{Key: leasetest.Key(9, "web"), Port: 20000}); err != nil {
		t.Fatal(err)
	}
	changed := request(1, "web")
	changed.Origin = "tcp://127.0.0.1:81"
	w.grant(changed, 20001)
	w.wantFree(20000)
	if w.logged.count("the lease is lost") != 1 {
		t.Error("nothing was said about it")
	}
}

// TestGrantConcurrently: many nodes at once; also meets the race detector.
func TestGrantConcurrently(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *lease.Config) { c.Ports = mustRange(t, "20000-20099") })
	w.ports.onBind = func() { w.lessor.Leases() } // as a status page does
	var group sync.WaitGroup
	for n := range byte(20) {
		group.Go(func() {
			for i := range 30 {
				r := request(n, string(rune('a'+i%5)))
				if i%7 == 3 {
					r.WantedPort = 20000 + uint16(i)
				}
				g, err := w.lessor.Grant(t.Context(), r)
				if err != nil {
					t.Errorf("Grant: %v", err)
				}
				again, err := w.lessor.Grant(t.Context(), lease.Request{Key: r.Key, Origin: r.Origin})
				if err != nil || again.Port != g.Port {
					t.Errorf("%v had port %d and has %d: %v", r.Key, g.Port, again.Port, err)
				}
				switch i % 3 {
				case 0:
					err = w.lessor.Detach(t.Context(), r.Key)
				case 1:
					err = w.lessor.Release(t.Context(), r.Key)
				}
				if err != nil {
					t.Errorf("%v", err)
				}
				w.lessor.Leases()
			}
		})
	}
	group.Wait()
	w.stop()
	leases := w.lessor.Leases()
	w.wantStored(portsOf(leases)...)
	if bound := w.ports.snapshot(); len(bound) != len(leases) {
		t.Errorf("%d ports are bound for %d leases", len(bound), len(leases))
	}
}

// TestLeasesDoesNotWait: neither for the disk nor for the binder; and a context ends the wait for a store
// that hangs.
func TestLeasesDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.grant(request(3, "web"), 20001)
		w.store.mu.Lock()
		w.store.held, w.store.inPut = make(chan struct{}), make(chan struct{}, 10)
		w.store.mu.Unlock()

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := w.lessor.Grant(short, request(2, "web")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Grant in the store: %v", err)
			}
		})
		<-w.store.inPut
		for doing, call := range map[string]func() error{
			"Grant":   func() error { _, err := w.lessor.Grant(short, request(4, "web")); return err },
			"Detach":  func() error { return w.lessor.Detach(short, request(1, "web").Key) },
			"Release": func() error { return w.lessor.Release(short, request(1, "web").Key) },
			"Load":    func() error { return w.lessor.Load(short) },
		} {
			group.Go(func() {
				if err := call(); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s before the store: %v", doing, err)
				}
			})
		}
		if got := w.lessor.Leases(); len(got) != 2 {
			t.Errorf("Leases: %v", got)
		}
		group.Wait()
		w.wantFree(20002)
		close(w.store.held)
		w.store.mu.Lock()
		w.store.held = nil
		w.store.mu.Unlock()
		time.Sleep(10 * time.Second)
		w.wantStored(20000, 20001)
		if first := w.lessor.Leases()[0]; first.Attached() {
			t.Error("the lease that was detached meanwhile is attached")
		}

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		writes := w.store.count()
		if _, err := w.lessor.Grant(ended, request(5, "web")); !errors.Is(err, context.Canceled) || w.store.count() != writes {
			t.Errorf("Grant with an ended context: %v", err)
		}
		w.stop()
	})
}
