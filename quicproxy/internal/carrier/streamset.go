package carrier

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/memory"
)

// busyAfter is how many bytes, received between two checks, make a connection worth checking all its streams.
const busyAfter = 16 << 10

// streamSet holds streams of a connection for as long as quic-go keeps their data: while they are read, and
// then until the other side ends them.
type streamSet struct {
	mu      sync.Mutex
	streams map[*quic.ReceiveStream]struct{}
}

func (s *streamSet) add(stream *quic.ReceiveStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		s.streams = make(map[*quic.ReceiveStream]struct{})
	}
	s.streams[stream] = struct{}{}
}

func (s *streamSet) remove(stream *quic.ReceiveStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, stream)
}

// ended notes that a stream is no longer read: it was read to its end, or cancelled.
func (s *streamSet) ended(stream *quic.ReceiveStream) {
	stream.SetReceiveFinalSizeCallback(func(int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.streams, stream)
	})
}

// unread returns how many bytes of memory the streams hold, and whether there are any streams.
func (s *streamSet) unread() (bytes int, any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for stream := range s.streams {
		bytes += unread(stream)
	}
	return bytes, len(s.streams) > 0
}

// look notes what waits in streams without a relay, and in the control stream of a peer that sends much, and
// reports whether to check again soon.
func (c *Conn) look() bool {
	received := c.QUIC.ConnectionStats().BytesReceived
	if c.busy = received-c.bytes > busyAfter; c.busy {
		c.bytes = received
	}
	waits, any := c.streams.unread()
	if control := receivingHalf(c.Control.Stream); control != nil && (c.busy || c.waiting > 0) {
		waits += unread(control)
	}
	if waits > 0 || c.waiting > 0 {
		c.waits.Set(c.waiting, waits, 0)
		c.waiting = waits
	}
	return c.busy || any || c.waiting > 0
}

// Orphan counts what is left in the stream of a relay that ended here before the other side ended the stream.
func (c *Conn) Orphan(stream *quic.Stream) {
	if half := receivingHalf(stream); half != nil && c.QUIC.Context().Err() == nil && unread(half) > 0 {
		c.streams.add(half)
		c.streams.ended(half)
	}
}

// EndForMemory closes the connection: the other side leaves open streams that nobody reads, and only closing
// frees their memory.
func (c *Conn) EndForMemory(h *memory.Holding, log *slog.Logger) {
	bytes, age := h.Held()
	log.Warn("a connection was closed because its streams hold too much and the memory budget is used up",
		"peer", c.QUIC.RemoteAddr().String(), "bytes", bytes, "waiting", age)
	c.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorBusy), fmt.Sprintf("%d bytes wait in streams that nobody reads", bytes))
}

// Reading counts what waits in a stream until its header has been read.
func (c *Conn) Reading(stream *quic.Stream) (read func()) {
	half := receivingHalf(stream)
	if half == nil {
		return func() {}
	}
	c.streams.add(half)
	return func() { c.streams.remove(half) }
}
