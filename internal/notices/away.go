package notices

import (
	"fmt"
	"slices"
	"time"

	"apquic/internal/events"
)

// maxAway is how many nodes are remembered as away: strangers may be nodes of a server that is open.
const maxAway = 10_000

// absence says which events tell that somebody is away, and here.
type absence struct {
	gone, here string
	away, back string // what follows
	who        string // the attribute that says who; empty: there is only one
	what       string // for people
	// Each event gone begins the absence anew, since it is about a connection, and there may have been others.
	anew bool
}

var absences = []absence{
	{gone: "node-disconnected", here: "node-connected", away: events.NodeAway, back: events.NodeBack, who: "node", what: "the node", anew: true},
	{gone: "not-connected", here: "connected", away: events.ServerAway, back: events.ServerBack, what: "the server"},
}

// isDerived reports whether an event of this name follows from others.
func isDerived(name string) bool {
	return slices.ContainsFunc(absences, func(a absence) bool { return name == a.away || name == a.back })
}

// watch finds out who has been away for a while. One goroutine uses it.
type watch struct {
	after time.Duration
	gone  map[string]*gone
	order []*gone // who is not told to be away yet, the first one first; some are over
}

// gone is somebody who is away.
type gone struct {
	absence *absence
	who     string
	event   events.Event // that said so
	told    bool
	over    bool
}

func newWatch(after time.Duration) *watch { return &watch{after: after, gone: make(map[string]*gone)} }

// see takes notice of an event, and returns what follows from it, if anything does.
func (w *watch) see(e events.Event) (back message, follows bool) {
	for i := range absences {
		a := &absences[i]
		switch {
		case e.Name == a.gone:
			w.leave(a, e)
		case e.Name == a.here:
			if g := w.end(whoOf(a, e)); g != nil && g.told {
				since := e.Time.Sub(g.event.Time).Round(time.Second)
				return message{event: named(e, a.back, fmt.Sprintf("%s is back after %v", called(a, e), since)), derived: true}, true
			}
		}
	}
	return message{}, false
}

func (w *watch) leave(a *absence, e events.Event) {
	who := whoOf(a, e)
	if w.gone[who] != nil && !a.anew || who == "" && a.who != "" {
		return
	}
	w.end(who)
	if len(w.gone) >= maxAway {
		return
	}
	g := &gone{absence: a, who: who, event: e}
	w.gone[who] = g
	if w.order = append(w.order, g); len(w.order) > 2*len(w.gone)+64 {
		w.order = slices.DeleteFunc(w.order, func(g *gone) bool { return g.over })
	}
}

// end ends an absence, and returns it; nil: there was none.
func (w *watch) end(who string) *gone {
	g := w.gone[who]
	if g != nil {
		g.over = true
		delete(w.gone, who)
	}
	return g
}

// due returns who has been away for long enough. Lines of the log can be suppressed, and some who are away are not
// expected any more, so absent, if it is not nil, is asked who is missed; it is called if need be, and may not know (nil).
func (w *watch) due(now time.Time, absent func() map[string]bool) (away []message) {
	var missed map[string]bool
	asked := absent == nil
	for len(w.order) > 0 {
		g := w.order[0]
		if !g.over && now.Before(g.event.Time.Add(w.after)) {
			break
		}
		w.order[0], w.order = nil, w.order[1:]
		if g.over {
			continue
		}
		if !asked && g.absence.who != "" {
			missed, asked = absent(), true
		}
		if g.absence.who != "" && missed != nil && !missed[g.who] {
			w.end(g.who)
			continue
		}
		g.told = true
		since := now.Sub(g.event.Time).Round(time.Second)
		text := fmt.Sprintf("%s has been away for %v", called(g.absence, g.event), since)
		away = append(away, message{event: named(g.event, g.absence.away, text), derived: true})
	}
	return away
}

// remembered is absent asked once a second at most, since to list thousands of nodes takes a while. After is no shorter, so
// that whoever is due was away already then.
func remembered(absent func() map[string]bool) func() map[string]bool {
	if absent == nil {
		return nil
	}
	var last map[string]bool
	var at time.Time
	return func() map[string]bool {
		if at.IsZero() || time.Since(at) >= time.Second {
			at, last = time.Now(), absent()
		}
		return last
	}
}

// next is when due may return something; zero: not without a further event.
func (w *watch) next() time.Time {
	for _, g := range w.order {
		if !g.over {
			return g.event.Time.Add(w.after)
		}
	}
	return time.Time{}
}

// named is an event under another name, with another message.
func named(e events.Event, name, text string) events.Event {
	e.Name, e.Message = name, text
	return e
}

func whoOf(a *absence, e events.Event) string {
	if a.who == "" {
		return ""
	}
	return valueOf(e, a.who)
}

// called says who an event is about, by the name that the operator gave if there is one.
func called(a *absence, e events.Event) string {
	for _, key := range []string{"name", a.who} {
		if text := valueOf(e, key); a.who != "" && text != "" {
			return a.what + " " + text
		}
	}
	return a.what
}

// valueOf is an attribute of an event; empty: it has none of this name.
func valueOf(e events.Event, key string) string {
	for k, value := range e.Members() {
		if k == key {
			return value
		}
	}
	return ""
}
