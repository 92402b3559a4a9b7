// Package stopped is what the operations of package admin need of a server that is not running.
//
// It must not change anything but the lease file, nor be used while a server has that open.
package stopped

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/lease/boltstore"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
	"apquic/rules"
)

// Leases is the admin.Core of a server that is not running: its lease file at Path.
type Leases struct {
	Path  string
	Ports lease.PortRange // of the server
	store lease.Store     // nil: not opened yet
}

// Open opens the file; without one there are no leases.
func (f *Leases) Open() (lease.Store, error) {
	if f.store != nil {
		return f.store, nil
	}
	if _, err := os.Stat(f.Path); errors.Is(err, fs.ErrNotExist) {
		f.store = lease.NewMemoryStore() // there are no leases
		return f.store, nil
	}
	store, err := boltstore.Open(f.Path)
	if err == nil {
		f.store = store
	}
	return store, err
}

// Close ends that.
func (f *Leases) Close() {
	if f.store != nil {
		f.store.Close()
	}
}

// Status implements admin.Core.
func (f *Leases) Status(ctx context.Context) (server.Status, error) {
	store, err := f.Open()
	if err != nil {
		return server.Status{}, err
	}
	leases, err := store.List(ctx)
	return server.Status{Leases: leases}, err
}

// Budgets implements admin.Core: nothing runs.
func (f *Leases) Budgets() live.Budgets { return live.Budgets{} }

// Disconnect implements admin.Core: the server keeps the node's ports from others when it starts.
func (f *Leases) Disconnect(context.Context, certs.NodeID) error { return nil }

// Relays implements admin.Core: nothing runs.
func (f *Leases) Relays(live.Selection) ([]live.Relay, int) { return nil, 0 }

// Flows implements admin.Core.
func (f *Leases) Flows(live.Selection) ([]live.Flow, int) { return nil, 0 }

// Kick implements admin.Core.
func (f *Leases) Kick(certs.NodeID) int { return 0 }

// Forget implements admin.Core. No node is connected while no server runs, whatever the file says.
func (f *Leases) Forget(ctx context.Context, key lease.Key) error {
	_, l, err := f.find(ctx, key)
	if err != nil {
		return err
	}
	return f.store.Delete(ctx, key, l.Revision)
}

// Limit implements admin.Core: the server reads them when it starts.
func (f *Leases) Limit(rules.Own) {}

// Pin implements admin.Core. The node, which is away, hears of its port when it comes.
func (f *Leases) Pin(ctx context.Context, key lease.Key, port uint16) (lease.Lease, bool, error) {
	all, l, err := f.find(ctx, key)
	switch {
	case err != nil:
		return l, false, err
	case l.Port == 0 || key.IsGroup():
		return l, false, lease.ErrNotPort
	case !f.Ports.Contains(cmp.Or(port, l.Port)):
		return l, false, &lease.PortOutOfRangeError{Port: cmp.Or(port, l.Port), Range: f.Ports}
	}
	var ended []lease.Ended
	if port != 0 && port != l.Port {
		for _, other := range all {
			if other.Port == port {
				return l, false, &lease.PortTakenError{Lease: other}
			}
		}
		ended = append(ended, lease.Ended{Key: key, Port: l.Port, At: time.Now(), Reason: lease.Moved})
		l.Port = port
	}
	l.Pinned = true
	stored, err := f.store.Put(ctx, l, ended...)
	return stored, false, err
}

// Unpin implements admin.Core.
func (f *Leases) Unpin(ctx context.Context, key lease.Key) (lease.Lease, error) {
	_, l, err := f.find(ctx, key)
	switch {
	case err != nil:
		return l, err
	case !l.Pinned:
		return l, lease.ErrNotPinned
	}
	l.Pinned = false
	return f.store.Put(ctx, l)
}

// find returns all leases, and that of a key.
func (f *Leases) find(ctx context.Context, key lease.Key) (all []lease.Lease, l lease.Lease, err error) {
	store, err := f.Open()
	if err != nil {
		return nil, l, err
	}
	if all, err = store.List(ctx); err != nil {
		return nil, l, err
	}
	for _, l := range all {
		if l.Key == key {
			return all, l, nil
		}
	}
	return all, l, lease.ErrNoLease
}
