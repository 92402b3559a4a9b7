// Package naming adds to log lines about a node what the operator calls it.
//
// It must not know what the lines are about otherwise.
package naming

import (
	"context"
	"log/slog"

	"apquic/certs"
)

// Handler is a log handler that adds the name of the node that a line is about. NameOf is called for each such line.
type Handler struct {
	slog.Handler
	NameOf func(certs.NodeID) string // empty: it has none
}

// Handle implements slog.Handler.
func (h Handler) Handle(ctx context.Context, record slog.Record) error {
	name := ""
	record.Attrs(func(a slog.Attr) bool {
		if id, ok := a.Value.Any().(certs.NodeID); ok && a.Key == "node" {
			name = h.NameOf(id)
		}
		return name == ""
	})
	if name != "" {
		record = record.Clone()
		record.AddAttrs(slog.String("name", name))
	}
	return h.Handler.Handle(ctx, record)
}
