package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"apquic/admin"
	"apquic/admin/show"
	"apquic/internal/cli"
	"apquic/internal/table"
	"apquic/internal/totals"
	"apquic/internal/watch"
)

// twice is the time between two looks at counters that are to give a rate.
const twice = 500 * time.Millisecond

// view asks for what is shown, and returns it for programs and for people.
type view func(ctx context.Context, operations admin.Operations) (forPrograms any, rows [][]string, err error)

// look prints a view, with --watch again and again.
func look(c *call, o *options, ask view) error {
	if err := c.Validate(); err != nil {
		return err
	}
	once := func(ctx context.Context, w io.Writer) error {
		ctx, cancel := context.WithTimeout(ctx, commandTime)
		defer cancel()
		operations, done, err := operations(ctx, c.Settings) // each time: a server may start or stop meanwhile
		if err != nil {
			return err
		}
		defer done()
		answer, rows, err := ask(ctx, operations)
		switch {
		case err != nil:
			return err
		case !o.json:
			return table.Write(w, rows)
		case o.watch: // one line each
			return json.NewEncoder(w).Encode(answer)
		}
		return cli.WriteJSON(w, answer)
	}
	ctx, cancel := cli.UntilStopped()
	defer cancel()
	if o.watch {
		return watch.Run(ctx, c.Stdout, once)
	}
	return once(ctx, c.Stdout)
}

func nodes(c *call, o *options) error {
	return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		list, err := operations.ListNodes(ctx)
		return list, show.Nodes(list, time.Now()), err
	})
}

func status(c *call, o *options) error {
	var meter show.Meter
	return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		status, err := operations.Status(ctx)
		if err != nil || o.json {
			return status, nil, err
		}
		connections, flows := show.Visitors(status)
		if !meter.Begun() && connections+flows > 0 {
			meter.Take(status, time.Now())
			pause(ctx, twice)
			if status, err = operations.Status(ctx); err != nil {
				return nil, nil, err
			}
		}
		in, out := meter.Take(status, time.Now())
		rows := append(show.Summary(status, in, out, time.Now()), show.Services(status.Services, false, time.Now())...)
		return status, append(rows, show.Logins(status)...), nil
	})
}

func services(c *call, o *options) error {
	return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		status, err := operations.Status(ctx)
		return status.Services, show.Services(status.Services, true, time.Now()), err
	})
}

// running is what runs, for programs.
type running struct {
	Relays admin.Page[admin.Relay] `json:"relays"`
	Flows  admin.Page[admin.Flow]  `json:"flows"`
}

func relays(c *call, o *options) error {
	which := admin.Selection{Node: o.node, Service: o.service, Limit: o.limit}
	return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		var r running
		var err error
		if r.Relays, err = operations.ListRelays(ctx, which); err != nil {
			return nil, nil, err
		}
		r.Flows, err = operations.ListFlows(ctx, which)
		return r, append(show.Relays(r.Relays, time.Now()), show.Flows(r.Flows, time.Now())...), err
	})
}

// firstDay is the first of so many days in UTC, of which the last one is now.
func firstDay(now time.Time, days int) totals.Day {
	last := totals.DayOf(now)
	return last - totals.Day(min(max(days, 1)-1, int(last)))
}

// listTotals sums up what has passed on the last days.
func listTotals(c *call, o *options) error {
	which := admin.Selection{Service: o.service, Limit: o.limit, By: o.by, From: firstDay(time.Now(), o.days).String()}
	if len(c.Operands) > 0 {
		which.Node = c.Operands[0]
	}
	return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		t, err := operations.ListTotals(ctx, which)
		return t, show.Totals(t), err
	})
}

func explain(c *call, o *options) error {
	return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		explained, err := operations.Explain(ctx, c.Operands[0])
		return explained, show.Explained(explained), err
	})
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
