package notices

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"apquic/internal/events"
	"apquic/internal/hint"
)

// maxQueue is how many messages of a notice wait while one is told.
const maxQueue = 64 // half of it at most are about strangers

// pauses lie between the tries to tell a message.
var pauses = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// outlet tells the events of one notice, one after the other. Run owns it, but for the worker.
type outlet struct {
	plan
	log    *slog.Logger
	watch  *watch // nil: no event needs it
	told   map[counted]*lastHour
	missed map[string]uint64 // by name of event: not told since the last one
	queue  chan message
	cancel context.CancelFunc // ends the worker at once
	done   chan struct{}      // closed when it has ended
}

// counted is what is bounded together. Strangers are apart: they take nothing from nodes that the owner knows.
type counted struct {
	event    string // its name
	stranger bool
}

// receiver tells a message in one try.
type receiver interface {
	send(context.Context, message) error
}

// open starts the worker, which ends when the queue is closed and empty, or ctx ends; hurry, closed, leaves out waits.
func open(ctx context.Context, p plan, to receiver, hurry <-chan struct{}, nodes func() map[string]Node, log *slog.Logger) *outlet {
	ctx, cancel := context.WithCancel(ctx)
	o := &outlet{
		plan: p, log: log.With("to", p.notice.To()), told: make(map[counted]*lastHour), missed: make(map[string]uint64),
		queue: make(chan message, maxQueue), cancel: cancel, done: make(chan struct{}),
	}
	if slices.ContainsFunc(p.notice.Events, isDerived) {
		o.watch = newWatch(p.notice.After, nodes)
	}
	go func() {
		defer close(o.done)
		for m := range o.queue {
			if ctx.Err() != nil {
				return
			}
			o.tell(ctx, m, to, hurry)
		}
	}()
	return o
}

// end has the worker end soon. What it has not told is lost.
func (o *outlet) end() {
	o.cancel()
	close(o.queue)
}

// ended reports whether the worker has.
func (o *outlet) ended() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// see takes an event.
func (o *outlet) see(e events.Event) {
	if slices.Contains(o.notice.Events, e.Name) {
		o.offer(message{event: e})
	}
	if o.watch == nil {
		return
	}
	if back, follows := o.watch.see(e); follows && slices.Contains(o.notice.Events, back.event.Name) {
		o.offer(back)
	}
}

// due takes what is due by now.
func (o *outlet) due(now time.Time) {
	if o.watch == nil {
		return
	}
	for _, m := range o.watch.due(now) {
		if slices.Contains(o.notice.Events, m.event.Name) {
			o.offer(m)
		}
	}
}

// next is when something may be due; zero: not without a further event.
func (o *outlet) next() time.Time {
	if o.watch == nil {
		return time.Time{}
	}
	return o.watch.next()
}

// offer queues a message unless there are too many.
func (o *outlet) offer(m message) {
	name := m.event.Name
	of := counted{name, m.stranger}
	told := o.told[of]
	if told == nil {
		told = new(lastHour)
		o.told[of] = told
	}
	m.missed = o.missed[name]
	crowded := m.stranger && len(o.queue) >= maxQueue/2
	if now := time.Now(); told.count(now) < o.notice.PerHour && !crowded {
		select {
		case o.queue <- m:
			told.add(now)
			delete(o.missed, name)
			return
		default:
		}
	}
	o.missed[name]++
}

// tell tries until the message is told, or that is in vain.
func (o *outlet) tell(ctx context.Context, m message, to receiver, hurry <-chan struct{}) {
	for try := 0; ; try++ {
		err := to.send(ctx, m)
		if err == nil {
			return
		}
		_, lost := errors.AsType[permanent](err)
		if !lost && try < len(pauses) {
			pause := time.NewTimer(pauses[try])
			select {
			case <-pause.C:
				continue
			case <-ctx.Done():
			case <-hurry:
			}
			pause.Stop()
		}
		log := o.log.With("name", m.event.Name, "tries", try+1)
		if h := hint.Of(err); h != "" {
			log = log.With("hint", h)
		}
		log.Warn("a notice was not delivered", "err", err)
		return
	}
}

// lastHour has the times at which something was done in the last hour.
type lastHour struct{ times []time.Time }

func (l *lastHour) count(now time.Time) int {
	l.times = slices.DeleteFunc(l.times, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	return len(l.times)
}

func (l *lastHour) add(now time.Time) { l.times = append(l.times, now) }
