package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"

	"apquic/admin"
	"apquic/admin/stopped"
	"apquic/certs"
	"apquic/internal/control"
	"apquic/internal/hint"
	"apquic/internal/settings"
	"apquic/internal/settings/limits"
	"apquic/internal/totals"
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
	leases := &stopped.Leases{Path: filepath.Join(config.DataDir, leasesFile), Ports: config.Range}
	store, err := leases.Open()
	if err != nil {
		if client, notRunning := admin.Connect(ctx, config.DataDir); notRunning == nil {
			return client, func() {}, nil // a server has started meanwhile
		}
		return nil, nil, err
	}
	authority := authorityOf(config, key)
	if authority.Limits, err = limits.Open(filepath.Join(config.DataDir, limits.Name)); err != nil {
		leases.Close()
		return nil, nil, err
	}
	kept := totals.File(filepath.Join(config.DataDir, totalsFile))
	authority.Core, authority.Totals, authority.Copy = leases, kept, copyLeases(config.DataDir, store, kept)
	authority.Address = func() (string, uint16, error) { return readPublicAddress(config.DataDir) }
	return authority, leases.Close, nil
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
