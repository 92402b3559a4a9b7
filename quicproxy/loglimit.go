package quicproxy

import (
	"context"
	"log/slog"
	"time"

	"apquic/quicproxy/internal/limit"
)

// summarizeEvery is how often the log says how many lines were left out.
const summarizeEvery = 5 * time.Minute

// limitLog has everything that is logged go through one limiter: most of it can be caused by somebody else.
func limitLog(log *slog.Logger) (*slog.Logger, *limit.Log) {
	limited := limit.NewLog(log.Handler())
	return slog.New(limited), limited
}

// summarizeLog tells what was left out until ctx ends, and then once more.
func summarizeLog(ctx context.Context, log *limit.Log) {
	for ctx.Err() == nil {
		sleep(ctx, summarizeEvery)
		log.Summarize(context.WithoutCancel(ctx), time.Now())
	}
}
