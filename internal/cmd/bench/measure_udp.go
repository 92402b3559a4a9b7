package main

import (
	"context"
	"fmt"
	"time"

	"apquic/internal/cmd/bench/load"
)

// overUDP are the measurements of datagrams: of a game, of DNS, and the largest that most programs send.
func overUDP() (all []measurement) {
	for _, size := range []int{64, 512, 1200} {
		all = append(all, datagrams(size), paced(size))
	}
	return all
}

// datagramClients is how many clients have one datagram each on its way.
const datagramClients = 32

// datagrams moves datagrams as fast as possible.
func datagrams(size int) measurement {
	name := fmt.Sprintf("udp-%d", size)
	return measurement{
		name: name,
		rows: []row{
			{name + "-rate", fmt.Sprintf("UDP, %d bytes there and back, %d clients", size, datagramClients), perSecond, higher},
			{name + "-cpu", "CPU of the tunnel for each", micros, lower},
			{name + "-lost", "lost", percent, lower},
		},
		exposes: exposure{udp: true},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, used, err := t.measured(ctx, load.Job{
				Kind: load.Datagrams, Size: size, Conns: t.many(datagramClients), Warmup: t.lasting(300 * time.Millisecond), Time: t.lasting(3 * time.Second / 2),
			})
			if err != nil || result.Count == 0 {
				return nil, err
			}
			found := values{name + "-rate": result.Rate, name + "-lost": lostShare(result.Lost, result.Lost+result.Count)}
			if t.hasPrograms() {
				found[name+"-cpu"] = microseconds(used.CPU) / float64(result.Count)
			}
			return found, nil
		},
	}
}

// paced sends a steady stream that no machine should have trouble with.
func paced(size int) measurement {
	const rate = 5000
	name := fmt.Sprintf("udp-paced-%d", size)
	return measurement{
		name:    name,
		rows:    []row{{name, fmt.Sprintf("UDP, %d bytes, one client, %d a second: lost", size, rate), percent, lower}},
		exposes: exposure{udp: true},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, err := t.load(ctx, load.Job{
				Kind: load.Paced, Size: size, PerSecond: rate, Warmup: t.lasting(300 * time.Millisecond), Time: t.lasting(3 * time.Second / 2),
			})
			if err != nil {
				return nil, err
			}
			return values{name: lostShare(result.Lost, result.Count)}, nil
		},
	}
}

func lostShare(lost, all int) float64 { return 100 * float64(lost) / float64(max(all, 1)) }
