package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// errNotFree says that an endpoint cannot be had and another one must do.
var errNotFree = errors.New("it is not free")

// claimAny gives the key of r, whose last lease was own, the best available port; as a last resort that of
// the lease that lapsed longest ago.
func (l *Lessor) claimAny(ctx context.Context, r Request, own Ended) (Lease, error) {
	try := func(port uint16, from entry, ended ...Ended) (Lease, error) {
		if ctx.Err() != nil {
			return Lease{}, fmt.Errorf("lease: looking for a free port: %w", context.Cause(ctx))
		}
		return l.claim(ctx, r, Endpoint{Port: port}, from, ended...)
	}
	for port := range l.candidates(own) {
		if _, sensible := l.available(Endpoint{Port: port}); !sensible || !r.allows(port) {
			continue
		}
		if granted, err := try(port, entry{}); !errors.Is(err, errNotFree) {
			return granted, err
		}
	}
	for _, lapsed := range l.lapsed() {
		if !r.allows(lapsed.Port) {
			continue
		}
		granted, err := try(lapsed.Port, lapsed, lapsed.ended(GivenAway))
		if err == nil {
			l.log.Warn("no other port is left: one whose node has long been away was given away",
				r.attrs("port", lapsed.Port, "former_node", lapsed.Node, "former_service", lapsed.Service)...)
		}
		if !errors.Is(err, errNotFree) {
			return granted, err
		}
	}
	return Lease{}, l.full(r)
}

// lapsed returns the leases that may be given away, the earliest lapsed first.
func (l *Lessor) lapsed() (lapsed []entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, e := range l.entries {
		if e.lapsed && !e.Pinned && l.ports.Contains(e.Port) && !l.avoid[e.Endpoint()].until.After(now) {
			lapsed = append(lapsed, *e)
		}
	}
	slices.SortFunc(lapsed, func(a, b entry) int {
		return cmp.Or(a.HeldUntil.Compare(b.HeldUntil), byEndpoint(a.Lease, b.Lease))
	})
	return lapsed
}

// claim gives the key of r this endpoint instead of any it may have. It is free, or that of the lease from,
// which ends or, if ended does not mention it, continues as this one. The error is errNotFree if the endpoint
// is unavailable.
func (l *Lessor) claim(ctx context.Context, r Request, wanted Endpoint, from entry, ended ...Ended) (Lease, error) {
	if free, _ := l.available(wanted); !free && from.Endpoint() != wanted {
		return Lease{}, errNotFree
	}
	old, known := l.get(r.Key)
	claimed := Lease{
		Key: r.Key, Port: wanted.Port, Transport: r.Transport, Domain: wanted.Domain,
		Origin: r.Origin, Kept: l.keep(r.Key), Revision: old.Revision,
		Pinned: from.Pinned && len(ended) == 0, // a renamed service
	}
	change := change{from: from.Lease, to: claimed, ended: ended}
	if known {
		change.ended = append(change.ended, old.ended(Moved))
	}
	if from.bound {
		l.binder.Unbind(from.Lease)
	}
	stored, err := l.establish(ctx, change)
	if err != nil {
		if from.bound {
			l.update(from.Key, func(e *entry) { e.bound = false })
			from.bound = false
			l.openOrClose(from)
			l.wakeRun() // to try again
		}
		return Lease{}, err
	}
	claimed.Revision = stored.Revision
	l.succeed(from.Key, entry{Lease: claimed, stored: claimed, bound: true})
	l.remember(change.ended...)
	var renamedFrom Endpoint
	if change.moves() && len(ended) == 0 {
		renamedFrom = wanted
		l.log.Info("service renamed; it keeps its address", "node", r.Node, wanted.Attr(), "former", from.Service, "service", r.Service)
	}
	if old.bound {
		l.binder.Unbind(old.Lease)
	}
	for _, e := range ended {
		l.observe(Event{Lease: from.Lease, Ended: e.Reason})
	}
	l.observe(Event{Lease: claimed, Previous: cmp.Or(old.Endpoint(), renamedFrom)})
	return claimed, nil
}

// establish opens the endpoint of a new lease and stores the lease, or does neither.
func (l *Lessor) establish(ctx context.Context, c change) (Lease, error) {
	if err := l.bind(c.to); errors.Is(err, ErrExhausted) {
		return Lease{}, err // every other port would fail, too
	} else if err != nil {
		return Lease{}, errNotFree
	}
	stored, err := l.put(ctx, c)
	switch {
	case err == nil:
		return stored, nil
	case errors.Is(err, ErrTaken):
		if c.to.Port != 0 { // names are too many to remember
			l.obstruct(c.to.Endpoint(), err, takenPause)
		}
		err = errNotFree
	default:
		l.markUnsure(c.to.Key, c.to.Endpoint())
		if c.moves() {
			l.markUnsure(c.from.Key, c.from.Endpoint())
		}
	}
	l.binder.Unbind(c.to)
	return Lease{}, err
}

// bind opens the endpoint of a lease.
func (l *Lessor) bind(lease Lease) error {
	if err := l.binder.Bind(lease); err != nil {
		if l.obstruct(lease.Endpoint(), err, bindPause) && !errors.Is(err, ErrExhausted) {
			level := slog.LevelDebug // the node gets another port, unless a lease waits for this one
			if _, leased := l.get(lease.Key); leased {
				level = slog.LevelInfo
			}
			l.log.Log(context.Background(), level, "a public port cannot be opened; will try again", lease.Endpoint().Attr(), "err", err)
		}
		return err
	}
	l.clear(lease.Endpoint())
	return nil
}

// full counts how all the ports are used that r may have.
func (l *Lessor) full(r Request) error {
	e := &RangeFullError{Range: l.ports}
	if !r.Ports.IsZero() {
		e.Range = r.Ports
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for port := range l.ports.All() {
		if !r.allows(port) {
			continue
		}
		e.Size++
		switch owner, owned := l.owners[Endpoint{Port: port}]; {
		case !owned:
			e.Unbindable++
			e.Cause = l.avoid[Endpoint{Port: port}].cause
		case l.entries[owner].Attached():
			e.Attached++
		default:
			e.Held++
		}
	}
	return e
}
