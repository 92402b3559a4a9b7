package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"apquic/internal/cmd/bench/load"
)

// wan is the link of all measurements: a long distance, and a rate that no program has trouble with. Its TCP
// is Linux's default.
func wan(loss float64) *linkSettings {
	return &linkSettings{delay: 25 * time.Millisecond, loss: loss, rate: "200mbit", tcp: "cubic"}
}

// onLink are the measurements of how a tunnel copes with a bad network.
func onLink() (all []measurement) {
	for _, percent := range []float64{0, 0.1, 1} {
		all = append(all, lossy(percent))
	}
	const cutTime = 20 * time.Second
	all = append(all,
		event("rebinding", "NAT rebinding", 30*time.Second, func(_ context.Context, n *network) error { return n.rebind() }),
		event("cut", "20 s without network", cutTime+30*time.Second, func(ctx context.Context, n *network) error { return n.cut(ctx, cutTime) }))
	return all
}

func lossy(percent float64) measurement {
	share := strconv.FormatFloat(percent, 'f', -1, 64)
	name := "loss-" + share
	where := fmt.Sprintf("50 ms RTT, %s %% loss", share)
	return measurement{
		name: name, link: wan(percent / 100),
		rows: []row{
			{name + "-bulk-1", where + ": bulk down, 1 connection", megabytesPerSecond, higher},
			{name + "-bulk-8", "bulk down, 8 connections", megabytesPerSecond, higher},
			{name + "-p50", "echo p50", millis, lower},
			{name + "-p99", "echo p99", millis, lower},
		},
		run: func(ctx context.Context, t *trial) (values, error) { return acrossLink(ctx, t, name) },
	}
}

func acrossLink(ctx context.Context, t *trial, name string) (values, error) {
	found := values{}
	// Eight connections that take turns have enough messages for a percentile in a short time.
	talk, err := t.load(ctx, load.Job{Kind: load.Echo, Conns: 8, Time: t.lasting(2 * time.Second)})
	if err != nil {
		return found, err
	}
	found[name+"-p50"], found[name+"-p99"] = milliseconds(talk.P50), milliseconds(talk.P99)
	// A program that does something about a lossy link needs a while to detect it, and leaves the link warm for
	// the next load, so the order changes.
	order := []int{1, 8}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, conns := range order {
		moved, err := t.load(ctx, load.Job{Kind: load.Down, Conns: conns, Warmup: t.lasting(10 * time.Second), Time: t.lasting(5 * time.Second)})
		if err != nil {
			return found, err
		}
		found[fmt.Sprintf("%s-bulk-%d", name, conns)] = moved.Rate / 1e6
	}
	return found, nil
}

// eventLead is how long connections are watched before something happens to them.
const eventLead = 3 * time.Second

// event watches connections while something happens to the network, and for a while after.
func event(name, title string, after time.Duration, happens func(ctx context.Context, n *network) error) measurement {
	return measurement{
		name: name, link: wan(0), event: happens, limit: eventLead + after + measureLimit,
		rows: []row{
			{name + "-lost", title + ": connections lost", ofTen, lower},
			{name + "-stall", "longest round trip of those that live", secs, lower},
			{name + "-outage", "longest time without an answer on a new connection", secs, lower},
		},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, err := t.load(ctx, load.Job{Kind: load.Watch, Conns: 10, Time: eventLead + after, Pause: 100 * time.Millisecond})
			if err != nil {
				return nil, err
			}
			found := values{name + "-lost": float64(result.Lost), name + "-outage": seconds(result.Outage)}
			if result.Lost < result.Count {
				found[name+"-stall"] = seconds(result.Worst)
			}
			return found, nil
		},
	}
}
