package limit

import (
	"context"
	"time"
)

// summarizeEvery is how often a log says how many lines were suppressed.
const summarizeEvery = 5 * time.Minute

// Run periodically summarizes what was suppressed until ctx ends, and then once more.
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
