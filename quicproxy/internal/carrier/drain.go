package carrier

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// LogWaiting logs why a program that was told to stop does not, and what to do about it.
func LogWaiting(log *slog.Logger, limit time.Duration, relays int) {
	connections := "connections"
	if relays == 1 {
		connections = "connection"
	}
	if relays > 0 && limit > 0 {
		log.Info(fmt.Sprintf("waiting up to %g s for %d %s; ^C again ends now", limit.Seconds(), relays, connections))
	}
}

// FinishAll ends connections as Finish does, or at once when stopNow ends.
func FinishAll(conns []*Conn, stopNow context.Context, limit time.Duration, code framing.DrainCode, reason string, log *slog.Logger) {
	relays := 0
	for _, c := range conns {
		relays += c.Relays.Len()
	}
	LogWaiting(log, limit, relays)
	defer context.AfterFunc(stopNow, func() {
		for _, c := range conns {
			c.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorShutdown), reason)
		}
	})()
	var drained sync.WaitGroup
	for _, c := range conns {
		drained.Go(func() { c.Finish(limit, code, reason) })
	}
	drained.Wait()
}

// Finish ends a connection gracefully: no new relays, running ones up to the limit, then codes. Closing a
// connection drops what the other side has not received, so the other side is asked to say when its relays
// have ended.
func (c *Conn) Finish(limit time.Duration, code framing.DrainCode, reason string) {
	conn, control, relays := c.QUIC, c.Control, &c.Relays
	limit = max(limit, 0)
	ctx, cancel := context.WithTimeout(conn.Context(), limit)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		message := &framing.Drain{LimitMilliseconds: uint64(limit.Milliseconds()), Reason: reason, Code: uint32(code)}
		control.Request(ctx, framing.OpDrain, message, framing.OpDrained, new(framing.Drained))
	}()
	select {
	case <-drained:
	case <-ctx.Done(): // the request may hang in its write until the connection closes
	}
	relays.CloseWhenIdle(ctx)
	if conn.Context().Err() == nil { // otherwise they resume elsewhere
		relays.Discard(framing.ErrorRelayShutdown)
	}
	conn.CloseWithError(quic.ApplicationErrorCode(framing.ErrorShutdown), reason)
	<-drained
}
