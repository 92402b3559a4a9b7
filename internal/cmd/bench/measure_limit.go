package main

import (
	"context"
	"fmt"
	"time"

	"apquic/internal/cmd/bench/load"
)

// Limits of a service, in bytes per second: one that nobody comes near, and one that holds back everybody.
const outOfReach, tight = 100e9, 20e6

// atLimit measures how exactly a limit is kept, and how fairly it is shared. The warm-up is for what may pass at
// once after a pause.
func atLimit(kind load.Kind, conns int) measurement {
	name := fmt.Sprintf("limit-%s-%d", kind, conns)
	rows := []row{{
		name, fmt.Sprintf("limit of %d MB/s, %s, %s: rate off by", int(tight/1e6), kind, plural(conns, "connection")), percent, exact,
	}}
	if conns > 1 {
		rows = append(rows, row{name + "-least", "the slowest connection, as a share of an equal part", times, higher})
	}
	return measurement{
		name: name, rows: rows, exposes: exposure{limit: tight},
		run: func(ctx context.Context, t *trial) (values, error) {
			result, err := t.load(ctx, load.Job{
				Kind: kind, Conns: conns, Warmup: t.lasting(2 * time.Second), Time: t.lasting(10 * time.Second),
			})
			if err != nil {
				return nil, err
			}
			found := values{name: 100 * (result.Rate - tight) / tight}
			if conns > 1 {
				found[name+"-least"] = result.Least * float64(conns) / result.Rate
			}
			return found, nil
		},
	}
}
