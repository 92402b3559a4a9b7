package memory

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// holds makes a holding of so many bytes.
func holds(a *Account, owner string, bytes int) *Holding {
	h := a.Open(owner)
	h.Add(bytes)
	return h
}

// gone returns the owners of the holdings that have to go.
func gone(m *Accounts) (owners []string) {
	for _, h := range m.Excess() {
		owners = append(owners, h.Owner.(string))
	}
	return owners
}

func wantGone(t *testing.T, m *Accounts, want ...string) {
	t.Helper()
	if got := gone(m); !slices.Equal(got, want) {
		t.Errorf("%q have to go, want %q", got, want)
	}
}

func wantRoom(t *testing.T, what string, h *Holding, want int) {
	t.Helper()
	if got := h.Room(1 << 20); got != want {
		t.Errorf("%s: room for %d bytes, want %d", what, got, want)
	}
}

func wantShare(t *testing.T, what string, h *Holding, want int) {
	t.Helper()
	ofAccount, own := h.sharesLocked()
	if got := int(max(ofAccount, own)); got != want {
		t.Errorf("%s: it has %d bytes less than its share, want %d", what, got, want)
	}
}

// TestRoom: while there is room all may have it. When it is short each account has its share, and each
// holding its share of that.
func TestRoom(t *testing.T) {
	t.Parallel()
	m := New(1 << 20)
	attacker, other := m.Account(1), m.Account(1)
	first, small := holds(attacker, "first", 1<<19), holds(attacker, "small", 1<<10)
	wantRoom(t, "half is used", first, 1<<19-1<<10)
	holds(attacker, "second", 1<<19-1<<10)
	wantRoom(t, "all is used", first, 0)
	wantShare(t, "who has little may have more", small, 1<<20/3-1<<10)
	neighbour := other.Open("neighbour")
	wantShare(t, "another account", neighbour, 1<<19)
	neighbour.Add(1 << 19)
	wantShare(t, "at its share", neighbour, 0)
	wantRoom(t, "at its share", neighbour, 0)
	wantShare(t, "shares are smaller now", small, 1<<19/3-1<<10)
	other.Weigh(3)
	wantShare(t, "a larger share", neighbour, 1<<18)
	neighbour.Close()
	if m.all.weights != 1 {
		t.Errorf("the weights of active accounts are %d", m.all.weights)
	}
}

// TestRoomAbove: who has less than its share may exceed the budget by a little, however many there are, and accounts that have
// less than theirs by as much again. When that is used up others have to go at once, without the wait for who only is slow.
func TestRoomAbove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(1 << 20)
		attacker, other := m.Account(1), m.Account(1)
		for range 16 {
			holds(attacker, "old", 1<<16)
		}
		took := 0
		for range 1000 {
			took += attacker.Open("new").Take(1<<20, 16<<10)
		}
		if took > 1<<16 || took < 1<<15 {
			t.Errorf("a thousand that have nothing exceed a budget of 1 MiB by %d bytes", took)
		}
		neighbour := other.Open("neighbour")
		if n := neighbour.Take(1<<20, 1<<20); n < 1<<16 {
			t.Errorf("there is room for %d bytes for another account", n)
		}
		if n := neighbour.Take(1<<20, 1<<20); n != 0 {
			t.Errorf("the budget is exceeded by %d bytes more", n)
		}
		for _, owner := range gone(m) {
			if owner != "old" {
				t.Errorf("%s has to go", owner)
			}
		}
		if m.used-m.leaving > m.limit {
			t.Errorf("%d bytes stay, the budget is %d", m.used-m.leaving, m.limit)
		}
	})
}

// TestKeep: bytes count before they come, once, and make nobody younger who takes memory for none.
func TestKeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(1 << 20)
		h := holds(m.Account(1), "", 1<<16)
		for range 10 {
			time.Sleep(time.Second)
			taken := h.Take(1<<16, 1<<16)
			if taken != 1<<16 || m.Used() != 1<<17 {
				t.Errorf("%d bytes are taken, %d count", taken, m.Used())
			}
			h.Keep(0, taken)
		}
		if bytes, age := h.Held(); bytes != 1<<16 || age != 10*time.Second {
			t.Errorf("%d bytes count as %v old", bytes, age)
		}
		h.Keep(1<<16, h.Take(1<<16, 1<<16))
		if bytes, age := h.Held(); bytes != 1<<17 || age != 5*time.Second {
			t.Errorf("%d bytes, of which half are new, count as %v old", bytes, age)
		}
		if n := m.Peak(); n != 1<<17 {
			t.Errorf("%d bytes were held at most", n)
		}
		h.Close()
		if n := m.Peak(); n != 1<<17 {
			t.Errorf("%d bytes were held since then at most", n)
		}
		if n := m.Peak(); n != 0 {
			t.Errorf("%d bytes were held, but nothing is", n)
		}
	})
}

// TestFreed: who waits hears of room as soon as there is some.
func TestFreed(t *testing.T) {
	t.Parallel()
	m := New(1 << 20)
	a := m.Account(1)
	h := holds(a, "", 1<<20+1)
	freed := m.Freed()
	select {
	case <-freed:
		t.Error("room while more than all is used")
	default:
	}
	if !m.Pressure() {
		t.Error("no pressure")
	}
	h.Add(-4 << 10)
	<-freed
	if m.Pressure() != (m.Used() > m.Limit()/2) {
		t.Error("somebody waits")
	}
}

// TestExcess: the holding with most bytes for longest has to go once the budget has been exceeded for a
// while.
func TestExcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(1000 << 10)
		a := m.Account(1)
		holds(a, "little for long", 50<<10)
		time.Sleep(time.Minute)
		long := holds(a, "more for long", 350<<10)
		time.Sleep(10 * time.Second)
		holds(a, "most, but young", 620<<10)
		wantGone(t, m)
		time.Sleep(overdue)
		wantGone(t, m, "more for long")
		wantGone(t, m) // it goes
		long.Close()
		if m.Used() != 670<<10 || m.leaving != 0 || a.leaving != 0 {
			t.Errorf("%d bytes are used, %d leave", m.Used(), m.leaving)
		}
		holds(a, "too much at once", 1500<<10)
		wantGone(t, m, "too much at once")
	})
}

// TestExcessOfAccounts: the account furthest above its share pays, and none below its share.
func TestExcessOfAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(1000 << 10)
		old, heavy, more := m.Account(1), m.Account(1), m.Account(4)
		holds(old, "old, within its share", 160<<10)
		time.Sleep(time.Hour)
		holds(heavy, "heavy", 190<<10)
		holds(heavy, "lighter", 160<<10)
		holds(more, "with a larger share", 550<<10)
		time.Sleep(time.Minute)
		wantGone(t, m, "heavy")
	})
}

// TestTrickle: replacing one byte changes nothing; once all bytes are replaced, they are young.
func TestTrickle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := New(1 << 30).Account(1)
		kept, waits := holds(a, "", 1<<20), holds(a, "", 1<<20)
		for range 100 {
			time.Sleep(2 * time.Second)
			kept.Add(-1)
			kept.Add(1)
			waits.Set(1<<20, 1<<20, 1)
		}
		for _, h := range []*Holding{kept, waits} {
			if _, age := h.Held(); age < 199*time.Second {
				t.Errorf("after 200 s of trickling the bytes count as %v old", age)
			}
		}
		for range 64 {
			kept.Add(-64 << 10)
			kept.Add(64 << 10)
		}
		waits.Set(1<<20, 1<<20, 1<<21)
		if _, age := waits.Held(); age != 0 {
			t.Errorf("bytes that are all others count as %v old", age)
		}
		if _, age := kept.Held(); age > 10*time.Second {
			t.Errorf("bytes that were replaced four times count as %v old", age)
		}
	})
}

// TestAccounts does random operations and compares with plain sums, which must be 0 at the end.
func TestAccounts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		m := New(1 << 20)
		accounts := make([]*Account, 1+r.IntN(5))
		for i := range accounts {
			accounts[i] = m.Account(r.IntN(4))
		}
		held := map[*Holding]int{}
		for range 3000 {
			a := accounts[r.IntN(len(accounts))]
			switch r.IntN(8) {
			case 0:
				held[a.Open("")] = 0
			case 1:
				a.Weigh(r.IntN(4))
			case 2:
				for _, h := range m.Excess() {
					h.Close()
					h.Add(5) // late news
					delete(held, h)
				}
			default:
				operate(t, r, m, held)
			}
			check(t, m, accounts, held)
		}
		for h := range held {
			h.Close()
		}
		if m.used != 0 || m.leaving != 0 || m.all.weights != 0 || len(m.active) != 0 || m.over != 0 {
			t.Fatalf("seed %d: something is left: %+v", seed, m)
		}
	}
}

// operate changes one of the holdings.
func operate(t *testing.T, r *rand.Rand, m *Accounts, held map[*Holding]int) {
	t.Helper()
	for h, bytes := range held {
		switch n := 1 + r.IntN(64<<10); r.IntN(5) {
		case 0, 1:
			if room := h.Room(n); room > n || m.used+int64(n) <= m.limit && room < min(n, minRoom) && n >= minRoom {
				t.Fatalf("room for %d of %d with %d in use", room, n, m.used)
			}
			h.Add(n)
			held[h] += n
		case 2:
			n = min(n, bytes)
			h.Add(-n)
			held[h] -= n
		case 3:
			h.Set(bytes, n, r.IntN(1<<20))
			held[h] = n
		default:
			h.Close()
			delete(held, h)
		}
		return
	}
}

func check(t *testing.T, m *Accounts, accounts []*Account, held map[*Holding]int) {
	t.Helper()
	sums, all := map[*Account]int64{}, int64(0)
	for h, bytes := range held {
		if got, _ := h.Held(); got != int64(bytes) {
			t.Fatalf("a holding has %d bytes, not %d", got, bytes)
		}
		sums[h.account] += int64(bytes)
		all += int64(bytes)
	}
	if m.Used() != all {
		t.Fatalf("%d bytes are used, not %d", m.Used(), all)
	}
	for _, a := range accounts {
		if a.Used() != sums[a] {
			t.Fatalf("an account has %d bytes, not %d", a.Used(), sums[a])
		}
	}
	if all > m.limit == (m.over == 0) {
		t.Fatalf("%d of %d bytes are used, over since %v", all, m.limit, m.over)
	}
}

// TestRoomOfMany: if shares are smaller than what is worth reading, an empty holding may nevertheless read.
// This exceeds the budget, and a larger holding has to go; otherwise all could wait for ever.
func TestRoomOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 64 << 10
		m := New(limit)
		node := m.Account(1)
		for range limit >> 10 {
			holds(node, "attacker", 1<<10)
		}
		honest := node.Open("honest")
		n := honest.Room(64 << 10)
		if n == 0 {
			t.Fatal("there is no room for who has nothing")
		}
		honest.Add(n)
		time.Sleep(grown + overdue)
		wantGone(t, m, "attacker")
	})
}

// TestTinyBudget: a budget smaller than what is worth reading still lets somebody read.
func TestTinyBudget(t *testing.T) {
	t.Parallel()
	m := New(minRoom / 2)
	h := m.Account(1).Open("alone")
	wantRoom(t, "a tiny budget", h, minRoom/2)
	h.Add(minRoom / 2)
	wantRoom(t, "it is used", h, 0)
	h.Add(-minRoom / 2)
	wantRoom(t, "it was given back", h, minRoom/2)
}
