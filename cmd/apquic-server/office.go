package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/control"
	"apquic/internal/hint"
	"apquic/internal/settings"
	"apquic/lease"
	"apquic/lease/boltstore"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
)

// operations returns those of the server running on the data directory, or ones that work on its files; done
// releases them.
func operations(ctx context.Context, config settings.Server) (admin.Operations, func(), error) {
	client, err := admin.Connect(ctx, config.DataDir)
	if err == nil {
		return client, func() {}, nil
	}
	if _, free := errors.AsType[*control.NotRunningError](err); !free {
		return nil, nil, err
	}
	key, err := existingKey(config)
	if err != nil {
		return nil, nil, err
	}
	if err := checkDataDir(config.DataDir); err != nil {
		return nil, nil, err
	}
	// Only one process at a time can open the store. So commands that change a file run one after the other,
	// and none changes what a server that is just starting has read.
	leases := &leaseFile{path: filepath.Join(config.DataDir, leasesFile)}
	if _, err := leases.open(); err != nil {
		if client, notRunning := admin.Connect(ctx, config.DataDir); notRunning == nil {
			return client, func() {}, nil // a server has started meanwhile
		}
		return nil, nil, err
	}
	authority := authorityOf(config, key)
	authority.Core, authority.Copy = leases, copyLeases(config.DataDir, leases.store)
	authority.Address = func() (string, uint16, error) { return readPublicAddress(config.DataDir) }
	return authority, leases.close, nil
}

// authorityOf returns an Authority without a core and an address.
func authorityOf(config settings.Server, key certs.PrivateKey) *admin.Authority {
	return &admin.Authority{
		Nodes:       certs.NewAuthorizedNodes(filepath.Join(config.DataDir, authorizedFile)),
		Invitations: certs.NewInvitations(filepath.Join(config.DataDir, invitationsFile)),
		Server:      key.ID(),
		Rules:       config.Limits,
		Log:         slog.New(slog.DiscardHandler),
	}
}

// existingKey is the server's key. It never makes one, which would be another server's.
func existingKey(config settings.Server) (certs.PrivateKey, error) {
	if !config.Key.IsZero() {
		return config.Key, nil
	}
	key, err := certs.LoadKey(filepath.Join(config.DataDir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return key, hint.Add(err, "no server has ever run on this data directory: name another with --data-dir, or start the server once to make its key")
	}
	return key, err
}

// leaseFile is the admin.Core of a server that is not running: its lease file.
type leaseFile struct {
	path  string
	store lease.Store // nil: not opened yet
}

func (f *leaseFile) open() (lease.Store, error) {
	if f.store != nil {
		return f.store, nil
	}
	if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
		f.store = lease.NewMemoryStore() // there are no leases
		return f.store, nil
	}
	store, err := boltstore.Open(f.path)
	if err == nil {
		f.store = store
	}
	return store, err
}

func (f *leaseFile) close() {
	if f.store != nil {
		f.store.Close()
	}
}

// Status implements admin.Core.
func (f *leaseFile) Status(ctx context.Context) (server.Status, error) {
	store, err := f.open()
	if err != nil {
		return server.Status{}, err
	}
	leases, err := store.List(ctx)
	return server.Status{Leases: leases}, err
}

// Disconnect implements admin.Core: the server keeps the node's ports from others when it starts.
func (f *leaseFile) Disconnect(context.Context, certs.NodeID) error { return nil }

// Relays implements admin.Core: nothing runs.
func (f *leaseFile) Relays(live.Selection) ([]live.Relay, int) { return nil, 0 }

// Flows implements admin.Core.
func (f *leaseFile) Flows(live.Selection) ([]live.Flow, int) { return nil, 0 }

// Kick implements admin.Core.
func (f *leaseFile) Kick(certs.NodeID) int { return 0 }

// Forget implements admin.Core. No node is connected while no server runs, whatever the file says.
func (f *leaseFile) Forget(ctx context.Context, key lease.Key) error {
	store, err := f.open()
	if err != nil {
		return err
	}
	leases, err := store.List(ctx)
	if err != nil {
		return err
	}
	for _, l := range leases {
		if l.Key == key {
			return store.Delete(ctx, key, l.Revision)
		}
	}
	return lease.ErrNoLease
}
