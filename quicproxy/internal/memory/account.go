package memory

import "time"

// Account is what one owner of bytes holds: a node, or the address of a public client. Its fields belong to
// Accounts.mu.
type Account struct {
	memory   *Accounts
	group    *group
	weight   int64
	used     int64
	leaving  int64                 // of that, in holdings that were returned by Excess
	holdings map[*Holding]struct{} // those with bytes
}

// Open makes a holding for owner. The caller closes it.
func (a *Account) Open(owner any) *Holding { return &Holding{Owner: owner, account: a} }

// Weigh gives the account another weight.
func (a *Account) Weigh(weight int) {
	m := a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.used > 0 {
		a.group.growLocked(int64(max(weight, 1)) - a.weight)
	}
	a.weight = int64(max(weight, 1))
}

// Used is how many bytes the account holds.
func (a *Account) Used() int64 {
	a.memory.mu.Lock()
	defer a.memory.mu.Unlock()
	return a.used
}

// shareLocked is the account's share of the budget, as if it were active.
func (a *Account) shareLocked() int64 {
	more := int64(0)
	if a.used == 0 {
		more = a.weight
	}
	return max(a.group.shareLocked(a.memory.limit, more)*a.weight/(a.group.weights+more), 1)
}

// worstLocked is the holding with the greatest product of bytes and age among those above their share of the
// account. New bytes do not start at age 0; otherwise a few old bytes would outweigh many new ones.
func (a *Account) worstLocked(now time.Duration, young bool) (worst *Holding) {
	var most float64
	share := a.shareLocked() / int64(len(a.holdings))
	for h := range a.holdings {
		age := now - h.since
		if h.leaving || h.bytes <= share || !young && age < grown {
			continue
		}
		if product := float64(h.bytes) * (age + grown).Seconds(); product > most {
			worst, most = h, product
		}
	}
	return worst
}

// group is a set of accounts with a common limit, such as those of a network's addresses: their total weight
// counts for at most most.
type group struct {
	parent  *group // nil: it is all accounts
	most    int64
	weights int64 // of the active accounts and groups in it
}

func (m *Accounts) accountIn(g *group, weight int) *Account {
	return &Account{memory: m, group: g, weight: int64(max(weight, 1)), holdings: make(map[*Holding]struct{})}
}

// growLocked adds weight of active members; it may be negative.
func (g *group) growLocked(weight int64) {
	for ; g != nil; g = g.parent {
		before := min(g.weights, g.most)
		g.weights += weight
		weight = min(g.weights, g.most) - before
	}
}

// shareLocked is the group's share of a budget, as if it had more weight.
func (g *group) shareLocked(budget, more int64) int64 {
	if g.parent == nil {
		return budget
	}
	before, after := min(g.weights, g.most), min(g.weights+more, g.most)
	above := after - before
	return g.parent.shareLocked(budget, above) * after / (g.parent.weights + above)
}
