//go:build !unix

package quicproxy

import (
	"net"
	"sync/atomic"
)

// readyReader reads from a connection. The system has no readiness to wait for.
type readyReader struct {
	blocking blockingReader
	finSent  atomic.Bool
}

func newReadyReader(conn net.Conn, g readGate) *readyReader {
	return &readyReader{blocking: blockingReader{conn: conn, gate: g}}
}

func (r *readyReader) next() (buffer *[copySize]byte, n int, err error) { return r.blocking.next() }

func (r *readyReader) poll() (buffer *[copySize]byte, n int) { return nil, 0 }
