package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"apquic/admin"
	"apquic/internal/control"
	"apquic/internal/events"
	"apquic/internal/settings"
)

// office is what the owner of a running server sees and does beside its operations.
type office struct {
	hub  *events.Hub
	stop func() // the server, as a signal does
}

// serveAPI answers the owner of the data directory until stop is called.
func serveAPI(config settings.Server, authority *admin.Authority, hub *events.Hub, log *slog.Logger) (stop func(), err error) {
	socket, err := control.Listen(config.DataDir)
	if err != nil {
		return nil, err
	}
	var handler http.Handler = admin.Handler(authority, hub)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := control.Serve(ctx, socket, handler); err != nil {
			log.Error("commands can no longer reach this server", "err", err)
		}
	})
	return func() { cancel(); serving.Wait() }, nil
}
