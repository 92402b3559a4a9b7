package web

import (
	"context"
	"net"
	"net/http"
)

type endedKey struct{}

// withEnded is the context of the requests of a connection. One whose TLS somebody ended before it came here has
// TLSEnded.
func withEnded(ctx context.Context, c net.Conn) context.Context {
	if e, ok := c.(interface{ TLSEnded() bool }); ok && e.TLSEnded() {
		return context.WithValue(ctx, endedKey{}, true)
	}
	return ctx
}

// endedBefore reports whether the client of a request spoke TLS that ended before.
func endedBefore(r *http.Request) bool { return r.Context().Value(endedKey{}) != nil }
