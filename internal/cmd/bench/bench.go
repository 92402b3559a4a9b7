package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// bench measures contenders.
type bench struct {
	self         string // the path of this program
	linkProgram  string
	runs         int
	quick        bool
	contenders   []contender
	measurements []measurement
	progress     io.Writer
	ports        ports
}

var errBlocked = errors.New("nothing came through for 10 s")

// run measures everything, runs times. Each run measures all contenders in turn, so that other load on the
// machine hits all of them alike, and in another order each time: see inOrder. When ctx ends it stops early
// with what it has.
func (b *bench) run(ctx context.Context) *results {
	found := newResults()
	for i := range b.runs {
		for _, m := range b.measurements {
			if ctx.Err() != nil {
				return found
			}
			b.measure(ctx, m, inOrder(b.contenders, i), found, fmt.Sprintf("run %d of %d: %s", i+1, b.runs, m.name))
		}
	}
	return found
}

// inOrder returns the contenders in the order of a run, counted from 0. The place matters: the same program
// measures a few percent worse in first place than after another one. The order begins with the next
// contender in every second run, and is reversed in the runs in between. So of two contenders either one
// comes first in half of any even number of runs, and 2n runs give each of n every place twice.
func inOrder(contenders []contender, run int) []contender {
	if len(contenders) == 0 {
		return nil
	}
	first := run / 2 % len(contenders)
	order := slices.Concat(contenders[first:], contenders[:first])
	if run%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// measure measures one thing of all contenders, in the order given.
func (b *bench) measure(ctx context.Context, m measurement, order []contender, found *results, title string) {
	if m.link != nil {
		if missing := linkMissing(b.linkProgram); missing != "" {
			return
		}
	}
	n, err := b.network(ctx, m)
	if err != nil {
		for _, c := range order {
			found.add(m, c.name, nil, err)
		}
		fmt.Fprintf(b.progress, "%s: failed: %v\n", title, err)
		return
	}
	defer n.remove()
	if m.event != nil {
		b.together(ctx, m, order, n, found, title)
		return
	}
	for _, c := range order {
		if ctx.Err() != nil {
			return
		}
		one, err := b.one(ctx, m, c, n)
		found.add(m, c.name, one, err)
		b.tell(title, m, c, one, err)
	}
}

func (b *bench) network(ctx context.Context, m measurement) (*network, error) {
	if m.link == nil {
		return loopback(), nil
	}
	return newLink(ctx, b.linkProgram, *m.link)
}

// one measures one thing of one contender.
func (b *bench) one(ctx context.Context, m measurement, c contender, n *network) (values, error) {
	if !c.can(m.exposes) {
		return nil, nil
	}
	limit := cmp.Or(m.limit, measureLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	t, err := b.newTrial(ctx, c, n, m.exposes)
	if err != nil {
		return nil, err
	}
	defer t.stop()
	return m.run(ctx, t)
}

// together measures all contenders at the same time, while the event happens once. The order is that in which
// they start.
func (b *bench) together(ctx context.Context, m measurement, order []contender, n *network, found *results, title string) {
	ctx, cancel := context.WithTimeoutCause(ctx, m.limit, fmt.Errorf("it took longer than %v", m.limit))
	defer cancel()
	trials := make([]*trial, len(order))
	for i, c := range order {
		t, err := b.newTrial(ctx, c, n, m.exposes)
		if err != nil {
			found.add(m, c.name, nil, err)
			b.tell(title, m, c, nil, err)
			continue
		}
		defer t.stop()
		trials[i] = t
	}
	var running sync.WaitGroup
	for i, t := range trials {
		if t == nil {
			continue
		}
		running.Go(func() {
			one, err := m.run(ctx, t)
			found.add(m, order[i].name, one, err)
			b.tell(title, m, order[i], one, err)
		})
	}
	select {
	case <-time.After(eventLead):
	case <-ctx.Done():
	}
	if err := m.event(ctx, n); err != nil {
		fmt.Fprintf(b.progress, "%s: %v\n", title, err)
		cancel()
	}
	running.Wait()
}

// tell shows the progress.
func (b *bench) tell(title string, m measurement, c contender, found values, err error) {
	line := title + ": " + c.name
	for _, r := range m.rows {
		if value, ok := found[r.key]; ok {
			line += fmt.Sprintf(", %s %s", r.unit.format(value), r.unit)
		}
	}
	if err != nil {
		line += ", failed: " + err.Error()
	}
	fmt.Fprintln(b.progress, line)
}
