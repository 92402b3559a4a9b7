package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxStreams bounds the readers of a program's events.
	maxStreams = 32
	// batch is how many events are copied for a reader at a time.
	batch = 64
	// keepalive is how often a stream without events says that it goes on, and patience how long a reader may leave
	// what it was sent unread.
	keepalive, patience = 15 * time.Second, 10 * time.Second
	// again is after how long a browser returns to a stream that has ended.
	again = 3 * time.Second
)

// Missed is what a reader gets, as an event of type "missed", in place of events that are no longer kept.
type Missed struct {
	Missed uint64 `json:"missed"`
}

// stream serves the events of a Hub as server-sent events (WHATWG HTML, section 9.2).
type stream struct {
	hub                 *Hub
	places              chan struct{}
	keepalive, patience time.Duration
}

// Stream returns a handler that answers with the events of hub as server-sent events: those that are kept, and then the
// others as they come. The query last=N leaves out all but the last N that are kept, and follow=false those to come.
// A reader that returns says in Last-Event-ID where it was. One that does not read is ended.
func Stream(hub *Hub) http.Handler {
	return &stream{hub, make(chan struct{}, maxStreams), keepalive, patience}
}

// ServeHTTP implements http.Handler.
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	after, follow, err := s.wanted(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d readers follow the events already", cap(s.places)))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &output{w: w, control: http.NewResponseController(w), patience: s.patience}
	out.control.SetReadDeadline(time.Time{}) // of the request, which is over
	fmt.Fprintf(w, "retry: %d\n\n", again.Milliseconds())
	for out.flush() == nil {
		events, missed, added := s.hub.After(after, batch)
		switch {
		case len(events) > 0:
			out.write(events, missed)
			after = events[len(events)-1].ID
		case !follow || !s.wait(r.Context(), added, out):
			return
		}
	}
}

// wanted is what a request asks for: the events after one, and whether also those to come.
func (s *stream) wanted(r *http.Request) (after uint64, follow bool, err error) {
	query := r.URL.Query()
	follow = r.Method != http.MethodHead
	if text := query.Get("follow"); text != "" {
		if follow, err = strconv.ParseBool(text); err != nil {
			return 0, false, fmt.Errorf("follow=%.20q: want true or false", text)
		}
	}
	if text := query.Get("last"); text != "" {
		count, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0, false, fmt.Errorf("last=%.20q: want a number", text)
		}
		after = s.hub.Last(count)
	}
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, false, fmt.Errorf("Last-Event-ID %.20q: want the id of an event", text)
		}
	}
	return after, follow, nil
}

// wait returns at the next event or keepalive, and reports whether the stream goes on.
func (s *stream) wait(ctx context.Context, added <-chan struct{}, out *output) bool {
	timer := time.NewTimer(s.keepalive)
	defer timer.Stop()
	select {
	case <-added:
	case <-timer.C:
		fmt.Fprint(out.w, ": keepalive\n\n")
	case <-ctx.Done():
		return false
	}
	return true
}

// output is the answer to a reader.
type output struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

func (o *output) write(events []Event, missed uint64) {
	o.control.SetWriteDeadline(time.Now().Add(o.patience))
	if missed > 0 {
		text, _ := json.Marshal(Missed{missed})
		fmt.Fprintf(o.w, "event: missed\ndata: %s\n\n", text)
	}
	for _, e := range events {
		text, _ := json.Marshal(e) // its attributes are JSON already
		fmt.Fprintf(o.w, "id: %d\ndata: %s\n\n", e.ID, text)
	}
}

// flush sends what was written; its error says that the reader is gone or does not read.
func (o *output) flush() error {
	o.control.SetWriteDeadline(time.Now().Add(o.patience))
	return o.control.Flush()
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": text})
}
