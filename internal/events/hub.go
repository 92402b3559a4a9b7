package events

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxKept and maxBytes bound the events that are kept, and maxEvent the attributes of one, in bytes.
	maxKept  = 1000
	maxBytes = 1 << 20
	maxEvent = 4 << 10
	// overhead is what an event takes beside its texts, in bytes.
	overhead = 128
)

// Event is one thing that happened.
type Event struct {
	ID         uint64          `json:"id"` // grows with each event, also over restarts
	Time       time.Time       `json:"time"`
	Level      string          `json:"level"` // INFO, WARN or ERROR
	Name       string          `json:"name"`  // as docs/events.md lists them
	Message    string          `json:"message"`
	Attributes json.RawMessage `json:"attributes"` // an object
}

// Hub is a slog.Handler that keeps events and passes all lines on. Events are kept whatever the level of the log is.
type Hub struct {
	next       slog.Handler
	attributes slog.Handler // writes those of a line to ring.text
	ring       *ring        // shared by all derived handlers
}

// ring has the last events. A reader remembers where it is, so a slow one costs nothing and misses the oldest.
type ring struct {
	mu     sync.Mutex
	kept   [maxKept]Event // by ID modulo maxKept
	origin uint64         // the first ID of this process
	first  uint64         // the oldest that is kept
	next   uint64
	bytes  int           // of those that are kept
	text   bytes.Buffer  // of the event being added
	added  chan struct{} // closed with the next event; nil: nobody waits for it
}

// New returns a Hub in front of next.
func New(next slog.Handler) *Hub {
	// IDs begin at the time, so that a reader that comes back after a restart does not take new events for old ones. In
	// microseconds they fit into a number of JavaScript until the year 2255.
	begin := uint64(time.Now().UnixMicro())
	r := &ring{origin: begin, first: begin, next: begin}
	return &Hub{next: next, ring: r, attributes: slog.NewJSONHandler(&r.text, &slog.HandlerOptions{ReplaceAttr: forEvent})}
}

// forEvent leaves out what an Event has fields for.
func forEvent(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey || a.Key == eventKey):
		return slog.Attr{}
	case a.Value.Kind() == slog.KindDuration:
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

// Enabled implements slog.Handler.
func (h *Hub) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *Hub) WithAttrs(attributes []slog.Attr) slog.Handler {
	with := *h
	with.next, with.attributes = h.next.WithAttrs(attributes), h.attributes.WithAttrs(attributes)
	return &with
}

// WithGroup implements slog.Handler.
func (h *Hub) WithGroup(name string) slog.Handler {
	grouped := *h
	grouped.next, grouped.attributes = h.next.WithGroup(name), h.attributes.WithGroup(name)
	return &grouped
}

// Handle implements slog.Handler.
func (h *Hub) Handle(ctx context.Context, line slog.Record) error {
	if line.Level >= slog.LevelInfo {
		h.ring.add(ctx, line, h.attributes)
	}
	if !h.next.Enabled(ctx, line.Level) {
		return nil
	}
	return h.next.Handle(ctx, line)
}

func (r *ring) add(ctx context.Context, line slog.Record, attributes slog.Handler) {
	e := Event{Time: line.Time, Level: line.Level.String(), Name: nameOf(line), Message: line.Message}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Reset()
	attributes.Handle(ctx, line) // into memory, so it cannot fail
	e.Attributes = bytes.Clone(bytes.TrimSpace(r.text.Bytes()))
	if r.text.Len() > maxEvent || len(e.Attributes) == 0 {
		e.Attributes = json.RawMessage(`{}`)
		r.text = bytes.Buffer{}
	}
	if len(e.Message) > maxEvent {
		e.Message = e.Name
	}
	for r.next-r.first == maxKept || r.next > r.first && r.bytes+e.size() > maxBytes {
		oldest := &r.kept[r.first%maxKept]
		r.bytes -= oldest.size()
		*oldest = Event{}
		r.first++
	}
	e.ID = r.next
	r.kept[e.ID%maxKept] = e
	r.next++
	r.bytes += e.size()
	if r.added != nil {
		close(r.added)
		r.added = nil
	}
}

func (e *Event) size() int { return overhead + len(e.Message) + len(e.Attributes) }

// After returns up to most events that followed the one with an ID, the oldest first, and how many before these are
// no longer kept. An ID of another process, or 0, is before all events of this one. If there are none yet, the channel
// is closed with the next one.
func (h *Hub) After(id uint64, most int) (events []Event, missed uint64, added <-chan struct{}) {
	r := h.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	from := id + 1
	switch {
	case from < r.origin || from > r.next:
		from = r.first
	case from < r.first:
		missed, from = r.first-from, r.first
	}
	for ; from < r.next && len(events) < most; from++ {
		events = append(events, r.kept[from%maxKept])
	}
	if len(events) == 0 {
		if r.added == nil {
			r.added = make(chan struct{})
		}
		added = r.added
	}
	return events, missed, added
}

// Last returns the ID after which there are count events, or as many as are kept.
func (h *Hub) Last(count uint64) (id uint64) {
	r := h.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - min(count, r.next-r.first) - 1
}
