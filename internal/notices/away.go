package notices

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"apquic/internal/events"
)

const (
	// maxAway is how many nodes are remembered as away. Strangers may be nodes of a server that is open: they make room.
	maxAway = 10_000
	// lookEvery is how often all nodes are looked at: as much later may an absence seem to have begun.
	lookEvery = time.Minute
)

// absence says which events tell that somebody is away, and here.
type absence struct {
	gone, here string
	away, back string // what follows
	who        string // the attribute that says who; empty: there is only one
	what       string // for people
	// Each event gone begins the absence anew, since it is about a connection, and there may have been others.
	anew bool
}

// ofNodes is the absence of nodes among absences.
const ofNodes = 0

var absences = []absence{
	{gone: "node-disconnected", here: "node-connected", away: events.NodeAway, back: events.NodeBack, who: "node", what: "the node", anew: true},
	{gone: "not-connected", here: "connected", away: events.ServerAway, back: events.ServerBack, what: "the server"},
}

// isDerived reports whether an event of this name follows from others.
func isDerived(name string) bool {
	return slices.ContainsFunc(absences, func(a absence) bool { return name == a.away || name == a.back })
}

// Node is where a node is that may come.
type Node struct {
	Name  string // empty: it has none
	Known bool   // the owner allows it by its id: others may be anybody's, and any number
	Away  bool
}

// watch finds out who has been away for a while. One goroutine uses it.
type watch struct {
	after time.Duration
	gone  map[string]*gone
	order []*gone // who is not told to be away yet, the first one first; some are over

	nodes  func() map[string]Node // nil, also its result: unknown
	listed map[string]Node        // its last result; nil: all are unknown
	looked time.Time              // when it was called last, to see who has gone without a line of the log
	here   map[string]bool        // who was here then
}

// gone is somebody who is away.
type gone struct {
	absence *absence
	who     string
	event   events.Event // that said so
	told    bool
	over    bool
}

func newWatch(after time.Duration, nodes func() map[string]Node) *watch {
	return &watch{after: after, gone: make(map[string]*gone), nodes: nodes}
}

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
				text := fmt.Sprintf("%s is back after %v", called(a, e), since)
				return message{event: named(e, a.back, text), derived: true, stranger: w.isStranger(g)}, true
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
	if len(w.gone) >= maxAway && !w.forgetStranger() {
		return
	}
	g := &gone{absence: a, who: who, event: e}
	w.gone[who] = g
	if w.order = append(w.order, g); len(w.order) > 2*len(w.gone)+64 {
		w.order = slices.DeleteFunc(w.order, func(g *gone) bool { return g.over })
	}
}

// isStranger reports whether somebody is a node that the owner does not know.
func (w *watch) isStranger(g *gone) bool {
	return w.listed != nil && g.absence.who != "" && !w.listed[g.who].Known
}

// forgetStranger makes room: any stranger does, so that none can choose who is forgotten.
func (w *watch) forgetStranger() bool {
	if w.listed == nil {
		return false
	}
	for who, g := range w.gone {
		if w.isStranger(g) {
			w.end(who)
			return true
		}
	}
	return false
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

// due returns who has been away for long enough. The node may be revoked meanwhile, or have another connection, so whoever
// is due is looked up.
func (w *watch) due(now time.Time) (away []message) {
	w.look(now)
	var nodes map[string]Node // nil: unknown
	asked := w.nodes == nil
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
			nodes, asked = w.list(), true
		}
		if g.absence.who != "" && nodes != nil && !nodes[g.who].Away {
			w.end(g.who)
			continue
		}
		g.told = true
		since := now.Sub(g.event.Time).Round(time.Second)
		text := fmt.Sprintf("%s has been away for %v", called(g.absence, g.event), since)
		away = append(away, message{event: named(g.event, g.absence.away, text), derived: true, stranger: w.isStranger(g)})
	}
	return away
}

// list asks for all nodes; nil: unknown.
func (w *watch) list() map[string]Node {
	nodes := w.nodes()
	if nodes != nil {
		w.listed = nodes
	}
	return nodes
}

// look finds, once in lookEvery, who has gone without a line of the log: so many leave when a network fails that lines are
// suppressed.
func (w *watch) look(now time.Time) {
	if w.nodes == nil || now.Before(w.looked.Add(lookEvery)) {
		return
	}
	w.looked = now
	here := make(map[string]bool)
	for who, node := range w.list() {
		switch {
		case !node.Away:
			here[who] = true
		case w.here[who] && w.gone[who] == nil:
			attributes, _ := json.Marshal(struct { // strings are always marshalled
				Node string `json:"node"`
				Name string `json:"name,omitempty"`
			}{who, node.Name})
			w.leave(&absences[ofNodes], events.Event{Name: absences[ofNodes].gone, Time: now, Attributes: attributes})
		}
	}
	w.here = here
}

// remembered asks nodes once a second at most, since to list thousands of nodes takes a while. After is no shorter, so
// that whoever is due was away already then.
func remembered(nodes func() map[string]Node) func() map[string]Node {
	if nodes == nil {
		return nil
	}
	var last map[string]Node
	var at time.Time
	return func() map[string]Node {
		if at.IsZero() || time.Since(at) >= time.Second {
			at, last = time.Now(), nodes()
		}
		return last
	}
}

// next is when due has something to do; zero: not without a further event.
func (w *watch) next() (next time.Time) {
	if w.nodes != nil {
		next = w.looked.Add(lookEvery)
	}
	for _, g := range w.order {
		if at := g.event.Time.Add(w.after); !g.over && (next.IsZero() || at.Before(next)) {
			return at
		} else if !g.over {
			break
		}
	}
	return next
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
