//go:build !unix

package relay

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

func (r *readyReader) next() ([]byte, error) { return r.blocking.next() }

func (r *readyReader) poll() []byte { return nil }
