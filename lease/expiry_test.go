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

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(1, "web"))
		time.Sleep(30 * time.Minute)
		w.detach(request(1, "web")) // changes nothing
		w.detach(request(7, "web")) // nor this
		time.Sleep(29 * time.Minute)
		w.wantBound(20000, leasetest.Key(1, "web"))
		w.grant(request(3, "web"), 20002)
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		w.wantFree(20000)
		w.wantStored(20001, 20002)        // an attached lease does not expire
		w.grant(request(4, "web"), 20003) // nobody ever had it
		w.grant(request(1, "web"), 20000) // nobody has it since

		w.detach(request(1, "web"))
		time.Sleep(59 * time.Minute)
		w.grant(request(1, "web"), 20000) // back in time
		time.Sleep(time.Hour)
		w.detach(request(1, "web")) // counted anew
		time.Sleep(59 * time.Minute)
		w.wantStored(20000, 20001, 20002, 20003)
		w.stop()
	})
}

// TestRunSleeps: nothing is polled.
func TestRunSleeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.grant(request(1, "web"), 20000)
		w.grant(request(2, "web"), 20001)
		w.detach(request(1, "web"))
		writes := w.store.count()
		start := time.Now()
		time.Sleep(time.Hour - time.Nanosecond)
		synctest.Wait()
		if w.store.count() != writes || len(w.lessor.Leases()) != 2 {
			t.Errorf("something happened before %v", time.Since(start))
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		w.wantStored(20001)
		w.stop()
	})
}

// TestExpiryRacesGrant: at the very moment of expiry the owner is back, or too late; nothing between.
func TestExpiryRacesGrant(t *testing.T) {
	t.Parallel()
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.grant(request(1, "web"), 20000)
			w.detach(request(1, "web"))
			time.Sleep(time.Hour)
			var group sync.WaitGroup
			var mine, other lease.Grant
			var errMine, errOther error
			group.Go(func() { mine, errMine = w.lessor.Grant(t.Context(), request(1, "web")) })
			group.Go(func() { other, errOther = w.lessor.Grant(t.Context(), request(2, "web")) })
			group.Wait()
			synctest.Wait()
			if errMine != nil || errOther != nil || mine.Port == other.Port {
				t.Errorf("%v %v, %v %v", mine, errMine, other, errOther)
			}
			w.wantStored(20000, 20001)
			w.wantBound(mine.Port, mine.Key)
			w.wantBound(other.Port, other.Key)
			w.stop()
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		put := func(n byte, port uint16, until time.Time) {
			if _, err := w.store.Put(t.Context(), lease.Lease{Key: leasetest.Key(n, "web"), Port: port, Origin: "tcp://127.0.0.1:80", HeldUntil: until}); err != nil {
				t.Fatal(err)
			}
		}
		now := time.Now()
		put(1, 20000, time.Time{})                   // attached
		put(2, 20001, now.Add(10*time.Minute))       // held
		put(3, 20002, now)                           // expired this moment
		put(4, 20003, now.Add(100*365*24*time.Hour)) // the clock was wrong
		put(5, 80, time.Time{})                      // outside
		put(6, 20004, time.Time{})                   // another program has it
		put(7, 81, now.Add(-time.Hour))              // outside and expired
		w.ports.occupy(true, 20004)
		w.create()
		w.store.breakDown()
		if err := w.lessor.Load(t.Context()); !errors.Is(err, errBroken) {
			t.Fatalf("Load: %v", err)
		}
		w.store.repair()
		if err := w.lessor.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.lessor.Load(t.Context()); err == nil {
			t.Error("Load again: no error")
		}
		for port, n := range map[uint16]byte{20000: 1, 20001: 2, 20003: 4} {
			w.wantBound(port, leasetest.Key(n, "web"))
		}
		w.wantFree(80, 81, 20002, 20004)
		w.grant(request(8, "web", 20002), 20002) // free at once
		w.run()
		synctest.Wait()
		w.wantStored(80, 20000, 20001, 20002, 20003, 20004) // times included
		for _, l := range w.lessor.Leases() {
			want := now.Add(time.Hour)
			switch l.Key.Node[0] {
			case 2:
				want = now.Add(10 * time.Minute)
			case 8:
				want = time.Time{}
			}
			if !l.HeldUntil.Equal(want) {
				t.Errorf("port %d is held until %v, want %v", l.Port, l.HeldUntil, want)
			}
		}
		if w.logged.count("leases=1") != 1 {
			t.Error("nothing was said about the lease outside")
		}
		w.grant(request(5, "web"), 20005) // its owner gets another port
		w.ports.occupy(false, 20004)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		w.wantBound(20004, leasetest.Key(6, "web"))
		time.Sleep(time.Hour)
		synctest.Wait()
		w.wantStored(20002, 20005)
		w.stop()
	})
}

// TestRestartWritesLittle: nodes that are back before Run got to their records.
func TestRestartWritesLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant(request(1, "web"), 20000)
	w.stop()
	w.create()
	if err := w.lessor.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	writes := w.store.count()
	w.grant(request(1, "web"), 20000)
	if w.store.count() != writes {
		t.Error("the record was attached and is, but was written")
	}
}

// TestClockJump: HeldUntil goes by the monotonic clock. It runs outside of synctest, whose clock has no
// monotonic reading.
func TestClockJump(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant(request(1, "web"), 20000)
	monotonic := func(held time.Time) bool { return held != held.Round(0) } // Round drops the reading
	w.detach(request(1, "web"))
	for _, when := range []string{"after Detach", "after Load"} {
		if !monotonic(w.lessor.Leases()[0].HeldUntil) {
			t.Errorf("%s the time of a lease depends on the wall clock", when)
		}
		stored, err := w.store.List(t.Context())
		if err != nil || monotonic(stored[0].HeldUntil) {
			t.Errorf("%s the record has a monotonic reading: %v", when, err)
		}
		w.crash()
	}
}
