package association

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

// Conn is what relays need of a connection between a server and a node.
type Conn interface {
	// OpenStream opens a stream, and waits while the peer allows no more of them.
	OpenStream(ctx context.Context) (quicstream.Stream, error)
	// OpenUniStream does the same for a stream that only this side writes to.
	OpenUniStream(ctx context.Context) (quicstream.SendStream, error)
	// RTT is the smoothed round trip time.
	RTT() time.Duration
	// SendProgress sends acks. It may wait for a peer that does not read; its error ends the connection.
	SendProgress(*framing.Progress) error
	// Context ends with the connection. It is called with Association.mu held.
	Context() context.Context
	// Received counts the packets that came.
	Received() uint64
	// Left is told that the other side has a relay go on over another connection: this one may not work,
	// either.
	Left()
	// Abandoned is called with a stream that is no longer read, though the peer may not have ended it yet.
	Abandoned(quicstream.Stream)
}

// Carrier is a connection as relays see it.
type Carrier struct {
	Conn
	Lane    bool           // it carries relays and nothing else
	Relays  Set            // those whose stream is on it
	Working sync.WaitGroup // its goroutines; wait for them after Association.Leave
	Records atomic.Uint64  // of stripes, either way

	lossy atomic.Bool // loss limits it, and there are other good ones

	// Guarded by Association.mu.
	suspect     bool      // it does not answer: relays avoid it
	received    uint64    // packets, when Suspect was called last
	heard       time.Time // when it saw that there were more than before
	retiring    bool      // it gets no new relays
	carriedAcks bool      // either way: some may be lost with it
}

// Lossy reports whether loss limits the connection, and there are other good ones.
func (c *Carrier) Lossy() bool { return c.lossy.Load() }

// Alive reports whether the connection has not ended.
func (c *Carrier) Alive() bool { return c.Context().Err() == nil }
