package notices

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"apquic/internal/events"
)

const (
	// batch is how many events are copied at a time.
	batch = 64
	// farewell is how long the last notices may take when the program ends.
	farewell = 2 * time.Second
)

// Config says whose events are told.
type Config struct {
	Program string // such as apquic-server
	Hub     *events.Hub
	Log     *slog.Logger
}

// Notices tells what happens in a program. It costs nothing while there is nothing to tell.
type Notices struct {
	config Config
	from   sender
	places chan struct{} // of commands
	begun  uint64        // the last event before

	to      func(plan) receiver
	changed chan struct{} // has room for one: wanted has changed
	mu      sync.Mutex
	wanted  Plan
}

// Plan is what is told to whom, with the contents of files.
type Plan []plan

type plan struct {
	notice Notice
	destination
}

// Open returns what tells the events that the Hub has from now on.
func Open(config Config, all []Notice) (*Notices, error) {
	p, err := Read(all)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	n := &Notices{
		config: config, from: sender{config.Program, host}, places: make(chan struct{}, maxCommands), begun: config.Hub.Last(0),
		changed: make(chan struct{}, 1),
	}
	n.to = n.receiver
	n.Follow(p)
	return n, nil
}

// Read checks notices and reads their files.
func Read(all []Notice) (Plan, error) {
	if err := Check(all); err != nil {
		return nil, err
	}
	var p Plan
	for i, notice := range all {
		one := plan{notice: notice}
		if len(notice.Command) == 0 {
			var err error
			if one.destination, err = readDestination(notice.Webhook); err != nil {
				return nil, fmt.Errorf("notices[%d]: %w", i, err)
			}
		}
		p = append(p, one)
	}
	return p, nil
}

// Follow tells as p says from now on. A notice that is in it unchanged goes on with what waits.
func (n *Notices) Follow(p Plan) {
	n.mu.Lock()
	n.wanted = p
	n.mu.Unlock()
	select {
	case n.changed <- struct{}{}:
	default: // it will be seen
	}
}

// Start begins to tell. nodes are all that may come, by their attribute in events; nil, also as the result: unknown. stop tells the last events, for two seconds at most, and ends all.
func (n *Notices) Start(nodes func() map[string]Node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{Notices: n, ctx: ctx, nodes: remembered(nodes), after: n.begun, hurry: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(r.loop)
	return func() {
		close(r.hurry)
		late := time.AfterFunc(farewell, cancel)
		running.Wait()
		late.Stop()
		cancel()
	}
}

// run is the state of the one goroutine that follows the events.
type run struct {
	*Notices
	ctx     context.Context // of the outlets
	nodes   func() map[string]Node
	outlets []*outlet
	ending  []*outlet     // those that a Plan has no more, until they have ended
	after   uint64        // the last event that was seen
	hurry   chan struct{} // closed: the program ends

	followed bool // a Plan
}

func (r *run) loop() {
	for {
		added := r.see()
		timer := time.NewTimer(r.pause(time.Now()))
		select {
		case <-added:
		case <-timer.C:
		case <-r.changed:
			r.follow()
		case <-r.hurry:
			select {
			case <-r.changed: // of what comes at once, either is taken first
				r.follow()
			default:
			}
			r.see()
			for _, o := range r.outlets {
				close(o.queue)
			}
			for _, o := range append(r.outlets, r.ending...) {
				<-o.done
			}
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// see takes all events that there are, and what is due. added is closed with the next one; nil: nobody wants it.
func (r *run) see() (added <-chan struct{}) {
	if len(r.outlets) == 0 {
		return nil
	}
	for added == nil {
		var all []events.Event
		all, _, added = r.config.Hub.After(r.after, batch)
		for _, e := range all {
			r.after = e.ID
			for _, o := range r.outlets {
				o.see(e)
			}
		}
	}
	for _, o := range r.outlets {
		o.due(time.Now())
	}
	return added
}

// pause is how long nothing is due.
func (r *run) pause(now time.Time) time.Duration {
	pause := 24 * time.Hour
	for _, o := range r.outlets {
		if next := o.next(); !next.IsZero() {
			pause = min(pause, max(next.Sub(now), 0))
		}
	}
	return pause
}

// follow opens and ends outlets.
func (r *run) follow() {
	r.mu.Lock()
	wanted := r.wanted
	r.mu.Unlock()
	if r.followed && len(r.outlets) == 0 {
		r.after = r.config.Hub.Last(0) // nobody wanted those before
	}
	r.followed = true
	former := r.outlets
	r.outlets = nil
next:
	for _, p := range wanted {
		for i, o := range former {
			if o != nil && reflect.DeepEqual(o.plan, p) {
				r.outlets, former[i] = append(r.outlets, o), nil
				continue next
			}
		}
		r.outlets = append(r.outlets, open(r.ctx, p, r.to(p), r.hurry, r.nodes, r.config.Log))
	}
	r.ending = slices.DeleteFunc(r.ending, (*outlet).ended)
	for _, o := range former {
		if o != nil {
			o.end() // the others go on meanwhile
			r.ending = append(r.ending, o)
		}
	}
}

func (n *Notices) receiver(p plan) receiver {
	if len(p.notice.Command) > 0 {
		return &command{arguments: p.notice.Command, places: n.places, timeout: commandTimeout, from: n.from}
	}
	return newHook(p.notice.Webhook, p.destination, n.from)
}
