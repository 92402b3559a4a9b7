// Package naming adds to the log what the operator of a server calls its nodes.
//
// It must not change lines otherwise.
package naming

import (
	"context"
	"log/slog"

	"apquic/certs"
)

// Handler is a slog.Handler that adds the name of the node that a line is about. NameOf returns it; empty:
// not known.
type Handler struct {
	slog.Handler
	NameOf func(certs.NodeID) string
}

// Handle implements slog.Handler.
func (n Handler) Handle(ctx context.Context, record slog.Record) error {
	name := ""
	record.Attrs(func(a slog.Attr) bool {
		if id, ok := a.Value.Any().(certs.NodeID); ok && a.Key == "node" {
			name = n.NameOf(id)
		}
		return name == ""
	})
	if name != "" {
		record = record.Clone()
		record.AddAttrs(slog.String("name", name))
	}
	return n.Handler.Handle(ctx, record)
}
