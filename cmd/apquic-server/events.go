package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"apquic/admin"
	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/events"
)

// lastEvents is how many events are printed that happened before.
const lastEvents = 50

// printEvents prints what happened last and, with --watch, goes on until a signal or the end of the server.
func printEvents(c *call, o *options) error {
	print := func(e events.Event) error { return e.Print(c.Stdout, time.Local) }
	if o.json {
		print = func(e events.Event) error {
			line, err := json.Marshal(e)
			if err == nil {
				_, err = fmt.Fprintln(c.Stdout, string(line))
			}
			return err
		}
	}
	return ask(c, func(ctx context.Context, client *admin.Client) error {
		err := client.Events(ctx, lastEvents, o.watch, print, func(n uint64) error {
			fmt.Fprintln(c.Stderr, n, "events were missed")
			return nil
		})
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
}

// ask calls do with a client of the running server, until a signal to stop.
func ask(c *call, do func(context.Context, *admin.Client) error) error {
	if err := c.Validate(); err != nil {
		return err
	}
	ctx, cancel := cli.UntilStopped()
	defer cancel()
	client, err := admin.Connect(ctx, c.Settings.DataDir)
	if err != nil {
		return err
	}
	return do(ctx, client)
}

// drainPause is how often a server that stops is asked whether it is still there.
const drainPause = 200 * time.Millisecond

// drain stops the running server and waits for its end.
func drain(c *call, o *options) error {
	return ask(c, func(ctx context.Context, client *admin.Client) error {
		draining, err := client.Drain(ctx)
		if err != nil {
			return err
		}
		if draining.Connections > 0 || o.json {
			words := fmt.Sprintf("The server stops once %s ended, or ran out of time.", count(draining.Connections, "connection"))
			if err := tell(c, o, draining, words); err != nil {
				return err
			}
		}
		if err := awaitEnd(ctx, c); err != nil || o.json {
			return err
		}
		_, err = fmt.Fprintln(c.Stdout, "The server has stopped.")
		return err
	})
}

// awaitEnd returns when no server runs on the data directory.
func awaitEnd(ctx context.Context, c *call) error {
	for ticks := time.Tick(drainPause); ; {
		if _, err := admin.Connect(ctx, c.Settings.DataDir); err != nil {
			if _, gone := errors.AsType[*control.NotRunningError](err); gone {
				return nil
			}
		}
		select {
		case <-ticks:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
