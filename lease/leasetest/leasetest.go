// Package leasetest has the tests that every [lease.Store] must pass. It tests what the comments of that
// interface say, and nothing that they leave open.
package leasetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"apquic/certs"
	"apquic/lease"
)

// Run tests a Store. open returns an empty one and closes it at the end of the test; Run may close it
// earlier. reopen reopens a closed store with its content; it is nil for a store that keeps nothing.
func Run(t *testing.T, open func(t *testing.T) lease.Store, reopen func(t *testing.T, closed lease.Store) lease.Store) {
	for name, test := range map[string]func(t *testing.T, store lease.Store){
		"create":    testCreate,
		"replace":   testReplace,
		"conflict":  testConflict,
		"taken":     testTaken,
		"move":      testMove,
		"domain":    testDomain,
		"group":     testGroup,
		"rename":    testRename,
		"history":   testHistory,
		"delete":    testDelete,
		"revisions": testRevisions,
		"invalid":   testInvalid,
		"list":      testList,
		"claimants": testClaimants,
		"writers":   testWriters,
		"cancelled": testCancelled,
		"closed":    testClosed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	if reopen != nil {
		t.Run("durable", func(t *testing.T) {
			t.Parallel()
			testDurable(t, open(t), reopen)
		})
	}
}

// Key returns the key of node number n and the given service name.
func Key(n byte, service string) lease.Key {
	return lease.Key{Node: certs.NodeID{n, 31: 1}, Service: service}
}

func mustPut(t *testing.T, store lease.Store, l lease.Lease) lease.Lease {
	t.Helper()
	stored, err := store.Put(t.Context(), l)
	if err != nil {
		t.Fatalf("Put(%v port %d revision %d): %v", l.Key, l.Port, l.Revision, err)
	}
	want := l
	want.Revision = stored.Revision
	if stored.Revision == 0 || !same(stored, want) {
		t.Fatalf("Put(%+v) returned %+v", l, stored)
	}
	return stored
}

func wantError(t *testing.T, doing string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", doing, err, want)
	}
}

// wantList compares all that is stored.
func wantList(t *testing.T, store lease.Store, want ...lease.Lease) {
	t.Helper()
	got, err := store.List(t.Context())
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("List:\n got %+v\nwant %+v", got, want)
	}
}

func same(a, b lease.Lease) bool {
	return a.Key == b.Key && a.Endpoint() == b.Endpoint() && a.Transport == b.Transport && a.Origin == b.Origin &&
		a.Revision == b.Revision && a.HeldUntil.Equal(b.HeldUntil) &&
		a.Kept == b.Kept && a.Pinned == b.Pinned && a.Reserved == b.Reserved
}

func testCreate(t *testing.T, store lease.Store) {
	wantList(t, store)
	attached := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000, Origin: "tcp://127.0.0.1:80"})
	held := mustPut(t, store, lease.Lease{Key: Key(1, "ssh"), Port: 20001, HeldUntil: time.Now().Add(time.Hour)})
	wantList(t, store, attached, held)
}

func testReplace(t *testing.T, store lease.Store) {
	l := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000, Origin: "tcp://127.0.0.1:80"})
	for _, until := range []time.Time{time.Now().Add(time.Hour), {}, time.Unix(1, 999).UTC()} {
		before := l.Revision
		l.HeldUntil, l.Origin, l.Transport = until, l.Origin+"0", (l.Transport+1)%3
		if l = mustPut(t, store, l); l.Revision == before {
			t.Errorf("the revision is %d as before", before)
		}
		wantList(t, store, l)
	}
}

func testConflict(t *testing.T, store lease.Store) {
	first := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	second := mustPut(t, store, first)
	for _, stale := range []uint64{0, first.Revision, second.Revision + 1} {
		l := second
		l.Revision, l.Origin, l.Port = stale, "other", 20001
		_, err := store.Put(t.Context(), l)
		wantError(t, "Put with a stale revision", err, lease.ErrConflict)
		wantError(t, "Delete with a stale revision", store.Delete(t.Context(), l.Key, stale), lease.ErrConflict)
	}
	_, err := store.Put(t.Context(), lease.Lease{Key: Key(2, "web"), Port: 20001, Revision: second.Revision})
	wantError(t, "Put of a record that is not there", err, lease.ErrConflict)
	wantError(t, "Delete of a record that is not there", store.Delete(t.Context(), Key(2, "web"), second.Revision), lease.ErrConflict)
	wantError(t, "Delete of no revision", store.Delete(t.Context(), Key(2, "web"), 0), lease.ErrConflict)
	wantList(t, store, second)
}

func testTaken(t *testing.T, store lease.Store) {
	web := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	ssh := mustPut(t, store, lease.Lease{Key: Key(1, "ssh"), Port: 20001})
	for _, l := range []lease.Lease{
		{Key: Key(1, "other service"), Port: 20000},
		{Key: Key(2, "web"), Port: 20000},
		{Key: ssh.Key, Revision: ssh.Revision, Port: 20000},
		{Key: Key(2, "dns"), Port: 20000, Transport: lease.UDP},
	} {
		_, err := store.Put(t.Context(), l)
		wantError(t, "Put at the port of another", err, lease.ErrTaken)
	}
	_, err := store.Put(t.Context(), lease.Lease{Key: ssh.Key, Port: 20000})
	wantError(t, "Put that is stale, at the port of another", err, lease.ErrConflict)
	wantList(t, store, web, ssh)
}

func testMove(t *testing.T, store lease.Store) {
	l := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	l.Port = 20005
	l = mustPut(t, store, l)
	wantList(t, store, l)
	other := mustPut(t, store, lease.Lease{Key: Key(2, "web"), Port: 20000}) // free again
	_, err := store.Put(t.Context(), lease.Lease{Key: Key(3, "web"), Port: 20005})
	wantError(t, "Put at the new port of another", err, lease.ErrTaken)
	wantList(t, store, other, l)
}

// testGroup: the lease of a group is one as any other, also where its node would stand.
func testGroup(t *testing.T, store lease.Store) {
	group := mustPut(t, store, lease.Lease{Key: lease.Key{Service: "web"}, Port: 20000})
	own := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20001})
	_, err := store.Put(t.Context(), lease.Lease{Key: Key(1, "dns"), Port: 20000})
	wantError(t, "Put at the port of a group", err, lease.ErrTaken)
	wantList(t, store, group, own)
	if err := store.Delete(t.Context(), group.Key, group.Revision, lease.Ended{Key: group.Key, Port: 20000, At: time.Now(), Reason: lease.Released}); err != nil {
		t.Fatal(err)
	}
	history, err := store.History(t.Context())
	if err != nil || len(history) != 1 || history[0].Key != group.Key {
		t.Errorf("history %v, %v", history, err)
	}
	wantList(t, store, own)
}

// testDomain: a domain belongs to one key, as a port does, and a record may change between the two.
func testDomain(t *testing.T, store lease.Store) {
	site := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Domain: "www.example.org"})
	wild := mustPut(t, store, lease.Lease{Key: Key(1, "all"), Domain: "*.example.org", HeldUntil: time.Now().Add(time.Hour)})
	port := mustPut(t, store, lease.Lease{Key: Key(2, "ssh"), Port: 20000})
	wantList(t, store, wild, site, port) // domains come first
	for _, l := range []lease.Lease{
		{Key: Key(2, "web"), Domain: "www.example.org"},
		{Key: Key(1, "other"), Domain: "*.example.org"},
		{Key: port.Key, Revision: port.Revision, Domain: "www.example.org"},
	} {
		_, err := store.Put(t.Context(), l)
		wantError(t, "Put at the domain of another", err, lease.ErrTaken)
	}
	wantList(t, store, wild, site, port)

	site.Domain, site.Port = "", 20001
	site = mustPut(t, store, site)
	port.Domain, port.Port = "www.example.org", 0
	port = mustPut(t, store, port)
	wantList(t, store, wild, port, site)
	mustPut(t, store, lease.Lease{Key: Key(3, "web"), Port: 20000})

	moved, err := store.Move(t.Context(), wild, lease.Lease{Key: Key(1, "renamed"), Domain: wild.Domain})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Put(t.Context(), lease.Lease{Key: wild.Key, Domain: wild.Domain})
	wantError(t, "Put at a domain that moved to another", err, lease.ErrTaken)
	if err := store.Delete(t.Context(), moved.Key, moved.Revision); err != nil {
		t.Fatal(err)
	}
	mustPut(t, store, lease.Lease{Key: Key(4, "web"), Domain: wild.Domain})
}

// testRename: a record replaces another one at its port in one step.
func testRename(t *testing.T, store lease.Store) {
	web := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	ssh := mustPut(t, store, lease.Lease{Key: Key(1, "ssh"), Port: 20001})
	other := mustPut(t, store, lease.Lease{Key: Key(2, "web"), Port: 20002})
	site := lease.Lease{Key: Key(1, "site"), Port: 20000, Origin: "tcp://127.0.0.1:80"}
	move := func(from, l lease.Lease) error { _, err := store.Move(t.Context(), from, l); return err }
	stale := web
	stale.Revision += 100
	none := lease.Lease{Key: Key(9, "web"), Port: 20000}
	known := site
	known.Revision = 77
	wantError(t, "Move from a stale revision", move(stale, site), lease.ErrConflict)
	wantError(t, "Move from nothing", move(none, site), lease.ErrConflict)
	wantError(t, "Move from itself", move(web, web), lease.ErrConflict)
	wantError(t, "Move to a stale revision", move(web, known), lease.ErrConflict)
	wantError(t, "Move onto a record", move(web, lease.Lease{Key: ssh.Key, Port: 20000}), lease.ErrConflict)
	wantError(t, "Move to the port of a third", move(web, lease.Lease{Key: site.Key, Port: 20002}), lease.ErrTaken)
	wantList(t, store, web, ssh, other)

	moved, err := store.Move(t.Context(), web, site)
	if site.Revision = moved.Revision; err != nil || !same(moved, site) || moved.Revision == web.Revision || moved.Revision == 0 {
		t.Fatalf("Move: %+v, %v", moved, err)
	}
	wantList(t, store, moved, ssh, other)
	wantError(t, "Move again", move(web, site), lease.ErrConflict)

	ssh.Port = 20000 // an existing record replaces another
	if moved, err = store.Move(t.Context(), moved, ssh); err != nil {
		t.Fatal(err)
	}
	wantList(t, store, moved, other)
	mustPut(t, store, lease.Lease{Key: Key(3, "web"), Port: 20001}) // free again
}

// testHistory: the last lease that ended at a port is known, if it did end.
func testHistory(t *testing.T, store lease.Store) {
	want := func(want ...lease.Ended) {
		t.Helper()
		got, err := store.History(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, want, sameEnded) {
			t.Errorf("History:\n got %+v\nwant %+v", got, want)
		}
	}
	want()
	over := func(l lease.Lease, why lease.Reason) lease.Ended {
		return lease.Ended{Key: l.Key, Port: l.Port, At: time.Now(), Reason: why}
	}
	web := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20001})
	first := over(web, lease.Moved)
	web.Port = 20000
	web, err := store.Put(t.Context(), web, first)
	if err != nil {
		t.Fatal(err)
	}
	want(first)
	stale := web
	stale.Revision++
	if _, err := store.Put(t.Context(), stale, over(web, lease.Lost)); err == nil {
		t.Error("a stale Put: no error")
	}
	if err := store.Delete(t.Context(), web.Key, stale.Revision, over(web, lease.Lost)); err == nil {
		t.Error("a stale Delete: no error")
	}
	if err := store.Delete(t.Context(), web.Key, web.Revision, lease.Ended{Port: 20000}); err == nil {
		t.Error("Delete with a history of nobody: no error")
	}
	want(first)
	wantList(t, store, web)

	second := over(web, lease.GivenAway)
	next, err := store.Move(t.Context(), web, lease.Lease{Key: Key(2, "web"), Port: 20000}, second)
	if err != nil {
		t.Fatal(err)
	}
	want(second, first)
	third := over(next, lease.Expired)
	if err := store.Delete(t.Context(), next.Key, next.Revision, third); err != nil {
		t.Fatal(err)
	}
	want(third, first)
}

func sameEnded(a, b lease.Ended) bool {
	return a.Key == b.Key && a.Port == b.Port && a.Reason == b.Reason && a.At.Equal(b.At)
}

func testDelete(t *testing.T, store lease.Store) {
	l := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	stays := mustPut(t, store, lease.Lease{Key: Key(1, "web2"), Port: 20001})
	if err := store.Delete(t.Context(), l.Key, l.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantError(t, "Delete again", store.Delete(t.Context(), l.Key, l.Revision), lease.ErrConflict)
	wantList(t, store, stays)
	wantList(t, store, mustPut(t, store, lease.Lease{Key: Key(2, "web"), Port: 20000}), stays)
}

// testRevisions: the revision of a deleted record must not match its successor.
func testRevisions(t *testing.T, store lease.Store) {
	seen := make(map[uint64]bool)
	for range 5 {
		l := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
		if seen[l.Revision] {
			t.Fatalf("revision %d was given twice", l.Revision)
		}
		seen[l.Revision] = true
		if err := store.Delete(t.Context(), l.Key, l.Revision); err != nil {
			t.Fatal(err)
		}
	}
}

func testInvalid(t *testing.T, store lease.Store) {
	long := string(make([]byte, 4096))
	for name, l := range map[string]lease.Lease{
		"no port":    {Key: Key(1, "web")},
		"no key":     {Port: 20000},
		"no service": {Key: Key(1, ""), Port: 20000},
		"service":    {Key: Key(1, long), Port: 20000},
		"origin":     {Key: Key(1, "web"), Port: 20000, Origin: long},
		"transport":  {Key: Key(1, "web"), Port: 20000, Transport: lease.TCPAndUDP + 1},
		"not UTF-8":  {Key: Key(1, "\xff"), Port: 20000},
		"no text":    {Key: Key(1, "web"), Port: 20000, Origin: "\xff"},
		"both":       {Key: Key(1, "web"), Port: 20000, Domain: "www.example.org"},
		"no domain":  {Key: Key(1, "web"), Domain: "Example.org"},
		"address":    {Key: Key(1, "web"), Domain: "192.0.2.1"},
	} {
		if _, err := store.Put(t.Context(), l); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	wantList(t, store)
}

func testList(t *testing.T, store lease.Store) {
	var want []lease.Lease
	for i, port := range []uint16{65535, 1, 256, 255, 20000, 257} {
		want = append(want, mustPut(t, store, lease.Lease{Key: Key(byte(i), "web"), Port: port}))
	}
	slices.SortFunc(want, func(a, b lease.Lease) int { return int(a.Port) - int(b.Port) })
	wantList(t, store, want...)
}

// testClaimants: of many claimants of one port, one gets it.
func testClaimants(t *testing.T, store lease.Store) {
	const claimants = 50
	results := make([]error, claimants)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			_, results[i] = store.Put(t.Context(), lease.Lease{Key: Key(byte(i), "web"), Port: 20000})
		})
	}
	group.Wait()
	winner := -1
	for i, err := range results {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%d and %d both have the port", winner, i)
		case err == nil:
			winner = i
		default:
			wantError(t, "Put of a loser", err, lease.ErrTaken)
		}
	}
	leases, err := store.List(t.Context())
	if err != nil || len(leases) != 1 || winner < 0 || leases[0].Key != Key(byte(winner), "web") {
		t.Errorf("List: %+v, %v; the winner was %d", leases, err, winner)
	}
}

// testWriters: of many writers that replace one revision, one succeeds.
func testWriters(t *testing.T, store lease.Store) {
	l := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	var group sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 20 {
		group.Go(func() {
			change := l
			change.Port += uint16(i)
			_, err := store.Put(t.Context(), change)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				wantError(t, "Put of a loser", err, lease.ErrConflict)
			}
		})
	}
	group.Wait()
	if won != 1 {
		t.Errorf("%d writers replaced one revision", won)
	}
}

func testCancelled(t *testing.T, store lease.Store) {
	l := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Put(ctx, lease.Lease{Key: Key(2, "web"), Port: 20001})
	wantError(t, "Put", err, context.Canceled)
	_, err = store.List(ctx)
	wantError(t, "List", err, context.Canceled)
	_, err = store.Move(ctx, l, lease.Lease{Key: Key(2, "web"), Port: 20000})
	wantError(t, "Move", err, context.Canceled)
	_, err = store.History(ctx)
	wantError(t, "History", err, context.Canceled)
	wantError(t, "Delete", store.Delete(ctx, l.Key, l.Revision), context.Canceled)
	wantList(t, store, l)
}

func testClosed(t *testing.T, store lease.Store) {
	l := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000})
	if err := store.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if _, err := store.Put(t.Context(), l); err == nil {
		t.Error("Put: no error")
	}
	if _, err := store.List(t.Context()); err == nil {
		t.Error("List: no error")
	}
	if _, err := store.Move(t.Context(), l, lease.Lease{Key: Key(2, "web"), Port: 20000}); err == nil {
		t.Error("Move: no error")
	}
	if _, err := store.History(t.Context()); err == nil {
		t.Error("History: no error")
	}
	if err := store.Delete(t.Context(), l.Key, l.Revision); err == nil {
		t.Error("Delete: no error")
	}
}

func testDurable(t *testing.T, store lease.Store, reopen func(*testing.T, lease.Store) lease.Store) {
	attached := mustPut(t, store, lease.Lease{Key: Key(1, "web"), Port: 20000, Origin: "tcp://127.0.0.1:80"})
	held := mustPut(t, store, lease.Lease{Key: Key(2, "ü \x00"), Port: 20001, Transport: lease.UDP, HeldUntil: time.Now().Add(time.Hour), Kept: true, Pinned: true, Reserved: true})
	named := mustPut(t, store, lease.Lease{Key: Key(2, "web"), Domain: "www.example.org"})
	deleted := mustPut(t, store, lease.Lease{Key: Key(3, "web"), Port: 20002})
	over := lease.Ended{Key: deleted.Key, Port: 20002, At: time.Now(), Reason: lease.Expired}
	if err := store.Delete(t.Context(), deleted.Key, deleted.Revision, over); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = reopen(t, store)
	wantList(t, store, named, attached, held)
	if history, err := store.History(t.Context()); err != nil || len(history) != 1 || !sameEnded(history[0], over) {
		t.Errorf("History: %+v, %v", history, err)
	}
	_, err := store.Put(t.Context(), lease.Lease{Key: Key(4, "web"), Port: 20001})
	wantError(t, "Put at the port of another", err, lease.ErrTaken)
	_, err = store.Put(t.Context(), lease.Lease{Key: Key(4, "web"), Domain: named.Domain})
	wantError(t, "Put at the domain of another", err, lease.ErrTaken)
	again := mustPut(t, store, lease.Lease{Key: deleted.Key, Port: deleted.Port})
	if again.Revision == deleted.Revision {
		t.Errorf("revision %d was given twice", again.Revision)
	}
	wantList(t, store, named, attached, held, again)
}
