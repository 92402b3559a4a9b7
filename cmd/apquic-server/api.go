package main

import (
	"context"
	"log/slog"
	"sync"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/control"
	"apquic/internal/events"
	"apquic/internal/settings"
)

// office is what the owner of a running server sees and does beside its operations.
type office struct {
	hub  *events.Hub
	stop func() // the server, as a signal does
}

// serveAPI answers the owner of the data directory, on its socket and at the address in the settings, until stop is
// called.
func serveAPI(config settings.Server, key certs.PrivateKey, authority *admin.Authority, hub *events.Hub, log *slog.Logger) (stop func(), err error) {
	handler := admin.Handler(authority, hub)
	atAddress, err := control.ServeAddress(control.Address{
		Listen: config.AdminAddress, TokenFile: config.AdminTokenFile, DataDir: config.DataDir, Hosts: config.AdminHosts, Admins: config.Admins, Key: key, Log: log,
	}, handler)
	if err != nil {
		return nil, err
	}
	socket, err := control.Listen(config.DataDir)
	if err != nil {
		atAddress()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := control.Serve(ctx, socket, handler); err != nil {
			log.Error("commands can no longer reach this server", "err", err)
		}
	})
	return func() { cancel(); serving.Wait(); atAddress() }, nil
}
