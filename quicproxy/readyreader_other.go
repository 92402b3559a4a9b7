//go:build !unix

package quicproxy

import (
	"net"
	"sync/atomic"
)

// readyReader reads from a connection. Where the system has no readiness to wait for, a waiting read holds
// its buffer.
type readyReader struct {
	conn    net.Conn
	gate    readGate
	finSent atomic.Bool
}

func newReadyReader(conn net.Conn, g readGate) *readyReader { return &readyReader{conn: conn, gate: g} }

func (r *readyReader) next() (buffer *[copySize]byte, n int, err error) {
	return readBlocking(r.conn, r.gate)
}

func (r *readyReader) poll() (buffer *[copySize]byte, n int) { return nil, 0 }
