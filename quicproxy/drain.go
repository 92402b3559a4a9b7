package quicproxy

import (
	"context"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// finish ends a connection in order: no new relays, running ones up to the limit, then codes. Closing a
// connection drops what the other side has not received, so it is asked to say when its relays have ended.
func finish(conn *quic.Conn, control *controlStream, relays *relaySet, limit time.Duration, code framing.DrainCode, reason string) {
	limit = max(limit, 0)
	ctx, cancel := context.WithTimeout(conn.Context(), limit)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		message := &framing.Drain{LimitMilliseconds: uint64(limit.Milliseconds()), Reason: reason, Code: uint32(code)}
		control.request(ctx, framing.OpDrain, message, framing.OpDrained, new(framing.Drained))
	}()
	select {
	case <-drained:
	case <-ctx.Done(): // the request may hang in its write until the connection closes
	}
	relays.closeWhenIdle(ctx)
	relays.abort(framing.ErrorRelayShutdown)
	conn.CloseWithError(quic.ApplicationErrorCode(framing.ErrorShutdown), reason)
	<-drained
}
