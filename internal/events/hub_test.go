package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// newLog returns a logger through a Hub, and what it writes below it.
func newLog(level slog.Level) (*slog.Logger, *Hub, *strings.Builder) {
	written := new(strings.Builder)
	hub := New(slog.NewTextHandler(written, &slog.HandlerOptions{Level: level}))
	return slog.New(hub), hub, written
}

func all(t *testing.T, hub *Hub, after uint64) (events []Event, missed uint64) {
	t.Helper()
	events, missed, _ = hub.After(after, maxKept)
	return events, missed
}

func TestEvents(t *testing.T) {
	t.Parallel()
	log, hub, written := newLog(slog.LevelWarn)
	log.Debug("nothing")
	node := log.With("node", "A", "from", "192.0.2.1:1")
	node.Info("node connected", "version", "apquic-node 1")
	node.Warn("node refused: it is on no list", "err", errors.New("no"), "after", 3*time.Second)
	node.Info("audit", slog.String("event", "join"), "id", "AB")
	node.Info("audit", slog.String("event", "unheard-of"))
	log.WithGroup("g").With("a", 1).Error("something else", "b", 2)
	events, missed := all(t, hub, 0)
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Level, " ", e.Name, " ", string(e.Attributes)))
	}
	want := []string{
		`INFO node-connected {"node":"A","from":"192.0.2.1:1","version":"apquic-node 1"}`,
		`WARN node-refused {"node":"A","from":"192.0.2.1:1","err":"no","after":"3s"}`,
		`INFO join {"node":"A","from":"192.0.2.1:1","id":"AB"}`,
		`INFO log {"node":"A","from":"192.0.2.1:1"}`,
		`ERROR log {"g":{"a":1,"b":2}}`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w || missed != 0 {
		t.Errorf("the events are\n%s\nwant\n%s", g, w)
	}
	if n := strings.Count(written.String(), "\n"); n != 2 || !strings.Contains(written.String(), "g.a=1 g.b=2") {
		t.Errorf("the log of warnings has %q", written)
	}
	if some, _ := all(t, hub, events[2].ID); len(some) != 2 || some[0].ID != events[3].ID {
		t.Errorf("after the third came %+v", some)
	}
	if some, _ := all(t, hub, hub.Last(2)); len(some) != 2 || some[0].ID != events[3].ID {
		t.Errorf("the last two are %+v", some)
	}
	if some, _ := all(t, hub, events[4].ID+7); len(some) != 5 {
		t.Errorf("after one of another process came %+v", some)
	}
	if none, _, added := hub.After(events[4].ID, 1); len(none) != 0 || added == nil {
		t.Errorf("after the last came %+v", none)
	}
	if later := New(slog.DiscardHandler); later.ring.origin <= events[0].ID {
		t.Errorf("a later process begins at %d, not after %d", later.ring.origin, events[0].ID)
	}
}

// TestPrint: an event is one line without control characters, whatever others put into it.
func TestPrint(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 22, 0, 0, 5, time.UTC)
	for _, test := range []struct {
		event Event
		want  string
	}{
		{Event{Name: "node-connected", Message: "node connected", Attributes: json.RawMessage(`{"node":"A","after":3,"g":{"a":1}}`)}, `2026-11-26 22:00:00  node-connected     node=A  after=3  g={"a":1}`},
		{Event{Name: "log", Message: "the disk\nis full", Attributes: json.RawMessage(`{}`)}, `2026-11-26 22:00:00  log                the disk is full`},
		{Event{Name: "a\x1b[2J", Attributes: json.RawMessage(`{"k\u001b":"v\n2026"`)}, `2026-11-26 22:00:00  a [2J              k =v 2026`},
		{Event{Name: "join", Attributes: json.RawMessage(`nonsense`)}, `2026-11-26 22:00:00  join`},
	} {
		test.event.Time = at
		var line strings.Builder
		if err := test.event.Print(&line, time.UTC); err != nil || line.String() != test.want+"\n" {
			t.Errorf("%q, want %q; %v", line.String(), test.want, err)
		}
	}
}

// TestEventsAreBounded: in number and in bytes, whatever others write into the log.
func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	log, hub, _ := newLog(slog.LevelError)
	begin := hub.ring.origin
	for i := range 3 * maxKept {
		log.Info("node connected", "i", i)
	}
	events, missed := all(t, hub, begin)
	if len(events) != maxKept || missed != 2*maxKept-1 || string(events[0].Attributes) != fmt.Sprintf(`{"i":%d}`, 2*maxKept) {
		t.Errorf("%d events and %d missed, the first %s", len(events), missed, events[0].Attributes)
	}
	for range 3 * maxKept {
		log.Info("node connected", "long", strings.Repeat("x", maxEvent-20))
	}
	log.Info("too long", "long", strings.Repeat("x", maxEvent))
	log.Info(strings.Repeat("x", 2*maxEvent))
	events, _ = all(t, hub, begin)
	bytes := 0
	for _, e := range events {
		bytes += e.size()
	}
	if bytes > maxBytes || bytes < maxBytes/2 || bytes != hub.ring.bytes {
		t.Errorf("%d bytes are kept (%d counted), want %d at most", bytes, hub.ring.bytes, maxBytes)
	}
	if e := events[len(events)-2]; e.Message != "too long" || string(e.Attributes) != "{}" {
		t.Errorf("what is too long became %+v", e)
	}
	if c := hub.ring.text.Cap(); c > 4*maxEvent {
		t.Errorf("a buffer of %d bytes stays", c)
	}
}

// TestEventsAtOnce: no event is lost or torn while many write and read.
func TestEventsAtOnce(t *testing.T) {
	t.Parallel()
	log, hub, _ := newLog(slog.LevelError)
	const writers, each = 4, 200
	var working sync.WaitGroup
	for w := range writers {
		working.Go(func() {
			for i := range each {
				log.With("writer", w).Info("node connected", "i", i)
			}
		})
	}
	for range writers {
		working.Go(func() {
			next := make(map[int]int)
			for after, n := uint64(0), 0; n < writers*each; {
				events, missed, added := hub.After(after, batch)
				if len(events) == 0 {
					<-added
					continue
				}
				for _, e := range events {
					var a struct{ Writer, I int }
					if err := json.Unmarshal(e.Attributes, &a); err != nil || a.I != next[a.Writer] || missed != 0 {
						t.Errorf("%s, want %d: %v", e.Attributes, next[a.Writer], err)
					}
					next[a.Writer], after = a.I+1, e.ID
					n++
				}
			}
		})
	}
	working.Wait()
}
