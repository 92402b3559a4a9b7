package limit

import (
	"context"
	"time"
)

// summarizeEvery is how often a log says how many lines were left out.
const summarizeEvery = 5 * time.Minute

// Run says now and then what was left out until ctx ends, and then once more.
func (l *Log) Run(ctx context.Context) {
	tick := time.NewTicker(summarizeEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		l.Summarize(context.WithoutCancel(ctx), time.Now())
	}
}
