package main

import (
	"context"
	"fmt"
	"time"

	"apquic/internal/cmd/bench/load"
	"apquic/internal/cmd/bench/proc"
)

// onLoopback are the measurements of what a tunnel costs when the network costs nothing.
func onLoopback() []measurement {
	return []measurement{
		bulk(load.Down, 1, 0), bulk(load.Down, 1, outOfReach), bulk(load.Down, 10, 0),
		bulk(load.Up, 1, 0), bulk(load.Up, 1, outOfReach), bulk(load.Up, 10, 0),
		atLimit(load.Down, 1), atLimit(load.Down, 8), atLimit(load.Up, 1), atLimit(load.Up, 8),
		echo(1, 0), echo(50, 20*time.Millisecond),
		connecting(), idle(), halfClose(), stalled(20), stalled(1000),
	}
}

// bulk moves bytes as fast as possible, through a service with a limit of bytes per second or, with 0, without
// one. With a limit that is out of reach it measures what the accounting costs.
func bulk(kind load.Kind, conns int, limit int64) measurement {
	name, title := fmt.Sprintf("bulk-%s-%d", kind, conns), fmt.Sprintf("bulk %s, %s", kind, plural(conns, "connection"))
	if limit > 0 {
		name, title = name+"-limited", title+", below a limit"
	}
	return measurement{
		name: name,
		rows: []row{
			{name + "-rate", title, megabytesPerSecond, higher},
			{name + "-cpu", "CPU of the tunnel for it", secondsPerGigabyte, lower},
			{name + "-cpu-server", "that of the server", secondsPerGigabyte, lower},
			{name + "-cpu-node", "that of the node", secondsPerGigabyte, lower},
		},
		exposes: exposure{limit: limit},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, used, err := t.measured(ctx, load.Job{
				Kind: kind, Conns: conns, Warmup: t.lasting(300 * time.Millisecond), Time: t.lasting(3 * time.Second / 2),
			})
			if err != nil {
				return nil, err
			}
			found := values{name + "-rate": result.Rate / 1e6}
			if t.hasPrograms() {
				gigabytes := float64(result.Bytes) / 1e9
				found[name+"-cpu"] = seconds(used.CPU) / gigabytes
				found[name+"-cpu-server"] = seconds(used.each[0].CPU) / gigabytes
				found[name+"-cpu-node"] = seconds(used.each[1].CPU) / gigabytes
			}
			return found, nil
		},
	}
}

// echo sends small messages back and forth.
func echo(conns int, pause time.Duration) measurement {
	name := fmt.Sprintf("echo-%d", conns)
	title := fmt.Sprintf("echo, %s", plural(conns, "connection"))
	if pause > 0 {
		title += fmt.Sprintf(" with a message each %v", pause)
	}
	return measurement{
		name: name,
		rows: []row{
			{name + "-p50", title + ": p50", micros, lower},
			{name + "-p99", "p99", micros, lower},
		},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, err := t.load(ctx, load.Job{
				Kind: load.Echo, Conns: conns, Pause: pause, Warmup: t.lasting(300 * time.Millisecond), Time: t.lasting(3 * time.Second / 2),
			})
			if err != nil {
				return nil, err
			}
			return values{name + "-p50": microseconds(result.P50), name + "-p99": microseconds(result.P99)}, nil
		},
	}
}

func connecting() measurement {
	return measurement{
		name: "connect",
		rows: []row{
			{"connect-rate", "connect + echo + close, 16 at a time", perSecond, higher},
			{"connect-cpu", "CPU of the tunnel for each", micros, lower},
		},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, used, err := t.measured(ctx, load.Job{
				Kind: load.Connect, Conns: 16, Warmup: t.lasting(300 * time.Millisecond), Time: t.lasting(3 * time.Second / 2),
			})
			if result.Count == 0 {
				return nil, err
			}
			found := values{"connect-rate": result.Rate}
			if t.hasPrograms() {
				found["connect-cpu"] = microseconds(used.CPU) / float64(result.Count)
			}
			return found, err
		},
	}
}

// settle is how long a tunnel's memory may take to become stable.
const settle = time.Second

func idle() measurement {
	const conns = 2000
	return measurement{
		name: "idle",
		rows: []row{{"idle-memory", fmt.Sprintf("memory of the tunnel for each of %d idle connections", conns), kilobytes, lower}},
		run: func(ctx context.Context, t *trial) (values, error) {
			if !t.hasPrograms() {
				return nil, nil
			}
			n := t.many(conns)
			grown, err := t.memoryFor(ctx, load.Job{Kind: load.Hold, Conns: n}, func() error { return nil })
			if err != nil {
				return nil, err
			}
			return values{"idle-memory": float64(grown) / float64(n) / 1024}, nil
		},
	}
}

// memoryFor returns by how much the tunnel's memory grows while a load keeps connections and meanwhile runs.
func (t *trial) memoryFor(ctx context.Context, job load.Job, meanwhile func() error) (int64, error) {
	before, err := proc.UsageOf(t.pids...)
	if err != nil {
		return 0, err
	}
	_, p, err := t.keep(ctx, job)
	if p != nil {
		defer p.Stop()
	}
	if err != nil {
		return 0, err
	}
	time.Sleep(t.lasting(settle))
	if err := t.calm(ctx); err != nil {
		return 0, err
	}
	after, err := proc.UsageOf(t.pids...)
	if err != nil {
		return 0, err
	}
	return after.Minus(before).Memory, meanwhile()
}

func halfClose() measurement {
	return measurement{
		name: "half-close",
		rows: []row{{"half-close", "a client that ends its request first gets the whole answer", yesNo, higher}},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, err := t.load(ctx, load.Job{Kind: load.HalfClose})
			if err != nil {
				return nil, err
			}
			whole := 0.0
			if result.Whole {
				whole = 1
			}
			return values{"half-close": whole}, nil
		},
	}
}

// stalled measures what a neighbour notices of readers that ask for bytes and never read them.
func stalled(readers int) measurement {
	name := fmt.Sprintf("stalled-%d", readers)
	beside := fmt.Sprintf("beside %d stalled readers", readers)
	return measurement{
		name: name,
		rows: []row{
			{name + "-p50", "neighbour's echo " + beside + ": p50", micros, lower},
			{name + "-p99", "p99", micros, lower},
			{name + "-echo", "p50, as a multiple of that without them", times, lower},
			{name + "-bulk", "neighbour's bulk down, as a share of that without them", times, higher},
			{name + "-memory", "memory of the tunnel for each stalled reader", kilobytes, lower},
		},
		run: func(ctx context.Context, t *trial) (values, error) {
			return besideStalled(ctx, t, name, t.many(readers))
		},
	}
}

func besideStalled(ctx context.Context, t *trial, name string, readers int) (values, error) {
	talk := load.Job{Kind: load.Echo, Conns: 1, Warmup: t.lasting(200 * time.Millisecond), Time: t.lasting(time.Second)}
	move := load.Job{Kind: load.Down, Conns: 1, Warmup: t.lasting(300 * time.Millisecond), Time: t.lasting(time.Second)}
	echoAlone, err := t.load(ctx, talk)
	if err != nil {
		return nil, err
	}
	bulkAlone, err := t.load(ctx, move)
	if err != nil {
		return nil, err
	}
	found := values{}
	grown, err := t.memoryFor(ctx, load.Job{Kind: load.Stall, Conns: readers}, func() error {
		bounded, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errBlocked)
		defer cancel()
		echo, err := t.load(bounded, talk)
		if err != nil {
			return err
		}
		found[name+"-p50"], found[name+"-p99"] = microseconds(echo.P50), microseconds(echo.P99)
		found[name+"-echo"] = float64(echo.P50) / float64(echoAlone.P50)
		bulk, err := t.load(bounded, move)
		if err != nil {
			return err
		}
		found[name+"-bulk"] = bulk.Rate / bulkAlone.Rate
		return nil
	})
	if t.hasPrograms() && grown > 0 {
		found[name+"-memory"] = float64(grown) / float64(readers) / 1024
	}
	return found, err
}
