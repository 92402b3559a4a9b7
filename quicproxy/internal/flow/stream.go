package flow

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

const (
	// maxStreams bounds the streams of datagrams on a connection, each way.
	maxStreams = 8
	// maxStreamQueued bounds what waits for one of them, in bytes.
	maxStreamQueued = 256 << 10
	// streamIdle is how long a stream stays without a datagram.
	streamIdle = 5 * time.Second
)

// stream is one over which datagrams go that do not fit into a packet. A goroutine and a QUIC stream exist
// only while there are some. Its zero value is ready.
type stream struct {
	mu     sync.Mutex
	items  []item
	cost   int
	more   chan struct{} // has room for one: there are items, or it closes; nil: there is no goroutine
	closed bool
}

// add queues a datagram whose cost s has counted.
func (l *stream) add(s *Sender, i item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		s.counters.Away.Add(1)
		s.left(i.cost())
		return
	}
	l.items = append(l.items, i)
	for l.cost += i.cost(); l.cost > maxStreamQueued; {
		s.counters.Overflow.Add(1)
		s.left(l.removeLocked().cost())
	}
	if l.more == nil {
		more := make(chan struct{}, 1)
		l.more = more
		s.working.Go(func() { l.run(s, more) })
	}
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *stream) removeLocked() item {
	i := l.items[0]
	l.items[0] = item{}
	l.items = l.items[1:]
	l.cost -= i.cost()
	return i
}

// next returns what to send next; false: nothing waits.
func (l *stream) next() (item, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.items) == 0 {
		return item{}, false
	}
	return l.removeLocked(), true
}

// drop empties the queue.
func (l *stream) drop(s *Sender, reason *atomic.Uint64) {
	for i, ok := l.next(); ok; i, ok = l.next() {
		reason.Add(1)
		s.left(i.cost())
	}
}

// close lets no more be added. The connection has ended, so that run ends, too.
func (l *stream) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.more != nil {
		select {
		case l.more <- struct{}{}:
		default:
		}
	}
}

// run sends what there is, and ends when there was nothing for a while, or with its stream.
func (l *stream) run(s *Sender, more <-chan struct{}) {
	out, err := s.conn.OpenUniStream(s.conn.Context())
	if err == nil {
		_, err = quicstream.Write(out, []byte{framing.DatagramStream})
	}
	idle := time.NewTimer(streamIdle)
	defer idle.Stop()
	for err == nil {
		if i, ok := l.next(); ok {
			err = l.write(s, out, i)
			continue
		}
		idle.Reset(streamIdle)
		select {
		case <-more:
		case <-s.conn.Context().Done():
			err = context.Cause(s.conn.Context())
		case <-idle.C:
			if l.finish() {
				out.Close()
				return
			}
		}
	}
	l.abandon()
	l.drop(s, &s.counters.Away)
}

// write sends one datagram.
func (l *stream) write(s *Sender, out quicstream.SendStream, i item) error {
	defer s.left(i.cost())
	if _, err := quicstream.Write(out, protowire.AppendBytes(make([]byte, 0, len(i.data)+8), i.data)); err != nil {
		s.counters.Away.Add(1)
		return err
	}
	s.counters.Sent.Add(1)
	return nil
}

// finish notes that the goroutine ends, unless something waits for it.
func (l *stream) finish() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.items) > 0 {
		return false
	}
	l.more = nil
	return true
}

// abandon notes that the goroutine ends, whatever waits: the peer stopped the stream, or the connection ended.
func (l *stream) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.more = nil
}
