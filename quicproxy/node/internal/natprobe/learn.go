package natprobe

import (
	"context"
	"log/slog"
	"time"

	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/reason"
)

// notInUse is the interval at which a connection checks whether it is the one in use.
const notInUse = time.Minute

// Wishes are what the connection wants of Learn.
type Wishes struct {
	InUse   func() bool   // reports whether it is the one in use; others learn nothing
	Shorter chan struct{} // has room for one: the interval has become shorter than the running timer
	Log     *slog.Logger
}

// Learn has the schedule know how long the networks of a connection keep a mapping, until ctx ends.
func (s *Server) Learn(ctx context.Context, schedule *keepalive.Schedule, w Wishes) {
	for ctx.Err() == nil {
		if !w.InUse() {
			wait.Sleep(ctx, notInUse)
			continue
		}
		try, pause := schedule.Begin(time.Now())
		if pause > 0 {
			wait.SleepOr(ctx, pause, schedule.Changed())
			continue
		}
		before := schedule.Interval()
		kept, err := s.try(ctx, try)
		if err == nil {
			schedule.Result(time.Now(), try, kept)
			if schedule.Interval() < before {
				wait.Signal(w.Shorter)
			}
			continue
		}
		schedule.Abandon(time.Now(), try)
		if reason.IsUnknownOpcode(err) {
			w.Log.Debug("the server does not help to learn the keepalive interval")
			return
		}
		w.Log.Debug("how long this network keeps an idle mapping could not be tried", "idle", try.Idle, "err", err)
	}
}

// try finds the outcome of a try, while the try is valid.
func (s *Server) try(ctx context.Context, try keepalive.Try) (kept bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(try.Valid, cancel)()
	return s.Keeps(ctx, try.Idle)
}
