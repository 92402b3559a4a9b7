package login

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

const (
	// An address may fail attemptBurst times, and then once every attemptEvery.
	attemptBurst = 10
	attemptEvery = 10 * time.Second
	// Of one address, and one site, so many checks may wait at once, each for at most maxWait.
	maxOfAddress, maxOfSite = 8, 32
	maxWait                 = 5 * time.Second
	// maxAddresses is how many addresses are known; all others share one account.
	maxAddresses = 4096
	// restFactor is how long a site's next check waits after a wrong password, as a multiple of what that
	// took: wrong passwords for one site take at most a quarter of one processor.
	restFactor = 3
)

var errTooMany = errors.New("too many attempts")

// Work bounds the checks of credentials that strangers can cause in a program. Checks of a password are
// expensive on purpose: one runs at a time, and each site has at most one in the queue, so that no site waits
// long for another.
type Work struct {
	turn chan struct{} // has room for who checks

	mu        sync.Mutex
	addresses map[netip.Prefix]*account
	swept     time.Time // when addresses that have nothing to be forgiven were last removed
}

// account is of an address, or a network that belongs to one customer.
type account struct {
	failures float64 // not forgiven yet
	updated  time.Time
	waiting  int // checks that wait or run
}

// NewWork makes a Work.
func NewWork() *Work {
	return &Work{turn: make(chan struct{}, 1), addresses: make(map[netip.Prefix]*account)}
}

// begin admits a check for a client. end is to follow, and says whether the client failed.
func (w *Work) begin(client string, now time.Time) (end func(failed bool), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from := w.accountLocked(Origin(client), now)
	from.forgive(now)
	if from.failures+float64(from.waiting) >= attemptBurst || from.waiting >= maxOfAddress {
		return nil, errTooMany
	}
	from.waiting++
	return func(failed bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		from.waiting--
		if failed {
			from.failures++
		}
	}, nil
}

func (w *Work) accountLocked(origin netip.Prefix, now time.Time) *account {
	if a := w.addresses[origin]; a != nil {
		return a
	}
	if len(w.addresses) >= maxAddresses && now.Sub(w.swept) >= attemptEvery {
		w.swept = now
		for known, a := range w.addresses {
			if a.forgive(now); a.failures == 0 && a.waiting == 0 {
				delete(w.addresses, known)
			}
		}
	}
	if len(w.addresses) >= maxAddresses {
		origin = netip.Prefix{}
	}
	a := w.addresses[origin]
	if a == nil {
		a = &account{updated: now}
		w.addresses[origin] = a
	}
	return a
}

func (a *account) forgive(now time.Time) {
	a.failures = max(0, a.failures-float64(now.Sub(a.updated))/float64(attemptEvery))
	a.updated = now
}

// Origin is whom the limits for a client are for: its address or, in IPv6, the /64 around it; those without a
// valid address share one.
func Origin(client string) netip.Prefix {
	at, err := netip.ParseAddrPort(client)
	if err != nil {
		return netip.Prefix{}
	}
	address := at.Addr().Unmap().WithZone("")
	bits := 32
	if address.Is6() {
		bits = 64
	}
	origin, _ := address.Prefix(bits) // bits is never too large
	return origin
}

// queue is the checks of one site, one after the other.
type queue struct {
	work    *Work
	waiting chan struct{} // has room for those that wait or run
	turn    chan struct{} // has room for the one that is next, or runs

	rest time.Time // no check before; of who has the turn
}

func newQueue(work *Work) *queue {
	return &queue{work: work, waiting: make(chan struct{}, maxOfSite), turn: make(chan struct{}, 1)}
}

// do runs check, which reports whether the credentials are right, when it is its turn.
func (q *queue) do(ctx context.Context, client string, check func() bool) (right bool, err error) {
	select {
	case q.waiting <- struct{}{}:
		defer func() { <-q.waiting }()
	default:
		return false, errTooMany
	}
	end, err := q.work.begin(client, time.Now())
	if err != nil {
		return false, err
	}
	failed := false
	defer func() { end(failed) }()
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	if !take(ctx, q.turn) {
		return false, errTooMany
	}
	defer func() { <-q.turn }()
	rest := time.NewTimer(time.Until(q.rest))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
		return false, errTooMany
	}
	if !take(ctx, q.work.turn) {
		return false, errTooMany
	}
	begun := time.Now()
	right = check()
	<-q.work.turn
	if failed = !right; failed {
		q.rest = time.Now().Add(restFactor * time.Since(begun))
	}
	return right, nil
}

// take enters turn unless ctx ends first.
func take(ctx context.Context, turn chan struct{}) bool {
	select {
	case turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
