package carrier

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/conn"
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

// Finish ends a connection gracefully: no new relays, running ones up to the limit, then codes. Closing a
// connection drops what the other side has not received, so the other side is asked to say when its relays
// have ended.
func Finish(conn *quic.Conn, control *conn.ControlStream, relays *association.Set, limit time.Duration, code framing.DrainCode, reason string) {
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
