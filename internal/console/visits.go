package console

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"apquic/internal/hint"
)

const (
	// maxVisits is how many visits are remembered after their end, and maxText the bytes of a name in one.
	maxVisits = 50
	maxText   = 128
	// relayEnded is the line of the log that a node writes, for debugging, when a visitor has left.
	relayEnded = "relay ended"
)

// visit is a connection of a visitor that has ended.
type visit struct {
	service, client string
	in, out         uint64 // bytes from and to the visitor
	ended           time.Time
}

// visits are the last ones.
type visits struct {
	mu   sync.Mutex
	last [maxVisits]visit // a ring
	n    int              // how many there were
}

func (v *visits) add(one visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last[v.n%maxVisits] = one
	v.n++
}

// newest returns up to most, the newest first.
func (v *visits) newest(most int) (newest []visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := v.n - 1; i >= max(v.n-maxVisits, 0) && len(newest) < most; i-- {
		newest = append(newest, v.last[i%maxVisits])
	}
	return newest
}

// listener is a slog.Handler that notes the visits that end, and passes on what next takes.
type listener struct {
	next   slog.Handler
	visits *visits
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
		one := visit{ended: line.Time}
		line.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "service":
				one.service = hint.Printable(a.Value.String(), maxText)
			case "client":
				one.client = hint.Printable(a.Value.String(), maxText)
			case "to_upstream":
				one.in = number(a.Value)
			case "from_upstream":
				one.out = number(a.Value)
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
