package loglimit

import (
	"context"
	"time"
)

// summarizeEvery is how often a log says how many lines were suppressed.
const summarizeEvery = 5 * time.Minute

// Run periodically summarizes what was suppressed until ctx ends, and then once more.
func (h *Handler) Run(ctx context.Context) {
	tick := time.NewTicker(summarizeEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		h.Summarize(context.WithoutCancel(ctx), time.Now())
	}
}
