package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
)

// Conn is what relays need of a connection between a server and a node.
type Conn interface {
	// OpenStream waits for a stream while the peer allows no more.
	OpenStream(ctx context.Context) (QUICStream, error)
	// OpenUniStream does the same for one that only this side writes to.
	OpenUniStream(ctx context.Context) (SendStream, error)
	// RTT is the smoothed round trip time.
	RTT() time.Duration
	// Tell sends a message about relays. It may wait for a peer that does not read; its error ends the connection.
	Tell(*framing.Progress) error
	// Context ends with the connection.
	Context() context.Context
	// Received is how many packets came so far.
	Received() uint64
	// Left is told that the other side has a relay go on over another connection: this one may not work, either.
	Left()
	// Abandoned is told of a stream that is not read any more, though the peer may not have ended it yet.
	Abandoned(QUICStream)
}

// Carrier is a connection as relays see it.
type Carrier struct {
	Conn
	Lane    bool           // it carries relays and nothing else
	Relays  Set            // those whose stream is on it
	Working sync.WaitGroup // of its goroutines; to be waited for after Association.Leave
	Records atomic.Uint64  // that stripes carried over it, either way

	lossy atomic.Bool // loss limits it, and there are others

	// Guarded by Association.mu.
	suspect  bool      // it does not answer; others are better
	received uint64    // packets, when Suspect was called last
	heard    time.Time // when it saw that there were more than before
	retiring bool      // it shall carry nothing new
	told     bool      // a message was sent over it, or came
}

// alive reports whether the connection has not ended.
func (c *Carrier) alive() bool { return c.Context().Err() == nil }
