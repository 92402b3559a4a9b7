package admin

import (
	"context"
	"errors"

	"apquic/internal/hint"
)

// Draining is a server that stops.
type Draining struct {
	Connections int `json:"connections"` // public ones that may go on for a while
}

// Drain implements Operations.
func (a *Authority) Drain(ctx context.Context) (Draining, error) {
	if a.Stop == nil {
		return Draining{}, hint.Add(errors.New("no server runs on this data directory"), "there is nothing to stop; --data-dir names another one")
	}
	status, err := a.Core.Status(ctx)
	if err != nil {
		return Draining{}, err
	}
	draining := Draining{}
	for _, s := range status.Sessions {
		draining.Connections += s.Relays
	}
	a.audit("drain", "connections", draining.Connections)
	a.Stop()
	return draining, nil
}

// Drain implements Operations.
func (c *Client) Drain(ctx context.Context) (Draining, error) {
	return call[Draining](ctx, c, "drain", struct{}{})
}
