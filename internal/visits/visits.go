// Package visits remembers the visitors of a node who left last, which it reads from the log of the node.
//
// It must not keep more than a fixed number of them, nor what they sent.
package visits

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"apquic/internal/hint"
)

const (
	// Most is how many visits are remembered after their end, and maxText the bytes of a name in one.
	Most    = 50
	maxText = 128
	// relayEnded is the line of the log that a node writes, for debugging, when a visitor has left.
	relayEnded = "relay ended"
)

// Visit is a connection of a visitor that has ended.
type Visit struct {
	Service string    `json:"service"`
	Client  string    `json:"client"`
	In      uint64    `json:"bytesIn"` // from the visitor
	Out     uint64    `json:"bytesOut"`
	Ended   time.Time `json:"ended"`
}

// Last are the last ones. The zero value has none.
type Last struct {
	mu   sync.Mutex
	last [Most]Visit // a ring
	n    int         // how many there were
}

func (v *Last) add(one Visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last[v.n%Most] = one
	v.n++
}

// Newest returns up to most, the newest first.
func (v *Last) Newest(most int) (newest []Visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := v.n - 1; i >= max(v.n-Most, 0) && len(newest) < most; i-- {
		newest = append(newest, v.last[i%Most])
	}
	return newest
}

// Handler returns a handler of the log of a node that notes the visits that end, and passes on what next takes.
func (v *Last) Handler(next slog.Handler) slog.Handler { return listener{next, v} }

// listener is that slog.Handler.
type listener struct {
	next   slog.Handler
	visits *Last
}

// Enabled implements slog.Handler.
func (l listener) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (l listener) WithAttrs(attributes []slog.Attr) slog.Handler {
	return listener{l.next.WithAttrs(attributes), l.visits}
}

// WithGroup implements slog.Handler.
func (l listener) WithGroup(name string) slog.Handler {
	return listener{l.next.WithGroup(name), l.visits}
}

// Handle implements slog.Handler.
func (l listener) Handle(ctx context.Context, line slog.Record) error {
	if line.Message == relayEnded {
		one := Visit{Ended: line.Time}
		line.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "service":
				one.Service = hint.Printable(a.Value.String(), maxText)
			case "client":
				one.Client = hint.Printable(a.Value.String(), maxText)
			case "to_upstream":
				one.In = number(a.Value)
			case "from_upstream":
				one.Out = number(a.Value)
			}
			return true
		})
		l.visits.add(one)
	}
	if !l.next.Enabled(ctx, line.Level) {
		return nil
	}
	return l.next.Handle(ctx, line)
}

func number(v slog.Value) uint64 {
	switch v.Kind() {
	case slog.KindUint64:
		return v.Uint64()
	case slog.KindInt64:
		return uint64(max(v.Int64(), 0))
	}
	return 0
}
