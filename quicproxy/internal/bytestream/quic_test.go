package bytestream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

// pairConn is one end of a connection in memory, with what the real ones do: windows, latency, FIN, reliable resets,
// STOP_SENDING, and an end at any moment.
type pairConn struct {
	t          *testing.T
	peer       *pairConn
	latency    func() time.Duration // of a stream
	window     int
	interrupts func() bool // nil: never
	received   atomic.Uint64
	left       atomic.Int32
	accepted   chan *pairStream
	stripes    chan *pairStream
	refuses    atomic.Bool // stripes
	handle     func(*framing.Progress)
	pumps      *sync.WaitGroup
	ctx        context.Context
	end        context.CancelCauseFunc
	told       *queue // messages to the peer

	mu      sync.Mutex
	cut     chan struct{} // until it is closed, nothing comes that was sent; nil: it does
	streams []*pairStream
}

var errKilled = &quic.ApplicationError{ErrorCode: 99}

// newPair connects two ends. Both must be ended with kill.
func newPair(t *testing.T, window int, latency func() time.Duration) (server, node *pairConn) {
	pumps := new(sync.WaitGroup)
	make := func() *pairConn {
		c := &pairConn{t: t, latency: latency, window: window, accepted: make(chan *pairStream, 10_000), stripes: make(chan *pairStream, 10_000), pumps: pumps}
		c.ctx, c.end = context.WithCancelCause(context.Background())
		c.told = newQueue(c, latency())
		return c
	}
	server, node = make(), make()
	server.peer, node.peer = node, server
	return server, node
}

// kill ends this side of the connection; what is under way is lost.
func (c *pairConn) kill() {
	c.end(errKilled)
	c.mu.Lock()
	streams := c.streams
	c.mu.Unlock()
	for _, s := range streams {
		s.mu.Lock()
		s.killed = true
		s.changed.Broadcast()
		s.mu.Unlock()
		s.cancel(errKilled)
	}
}

// hold stops what this side sends, until the function that it returns is called.
func (c *pairConn) hold() (release func()) {
	held := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = held
	return sync.OnceFunc(func() { close(held) })
}

// interrupt has the caller go on later, now and then: anything may happen meanwhile.
func (c *pairConn) interrupt() {
	if c.interrupts != nil && c.interrupts() {
		time.Sleep(c.latency())
	}
}

func (c *pairConn) Context() context.Context    { return c.ctx }
func (c *pairConn) Left()                       { c.left.Add(1) }
func (c *pairConn) Abandoned(quicstream.Stream) {}
func (c *pairConn) Received() uint64            { return c.received.Load() }

func (c *pairConn) SendProgress(p *framing.Progress) error {
	if c.ctx.Err() != nil {
		return errKilled
	}
	c.told.send(func() { c.peer.handle(p) })
	return nil
}

func (c *pairConn) OpenStream(ctx context.Context) (quicstream.Stream, error) {
	return c.open(ctx, c.peer.accepted)
}

func (c *pairConn) OpenUniStream(ctx context.Context) (quicstream.SendStream, error) {
	return c.open(ctx, c.peer.stripes)
}

func (c *pairConn) RTT() time.Duration { return 2 * c.latency() }

func (c *pairConn) open(ctx context.Context, accepted chan *pairStream) (*pairStream, error) {
	if c.ctx.Err() != nil || ctx.Err() != nil {
		return nil, errKilled
	}
	near, far := newPairStream(c), newPairStream(c.peer)
	near.peer, far.peer = far, near
	near.announce = func() { accepted <- far }
	return near, nil
}

// queue brings events to the other end in order.
type queue struct {
	conn    *pairConn
	latency time.Duration

	mu     sync.Mutex
	events []event
	busy   bool
}

type event struct {
	at time.Time
	do func()
}

func newQueue(c *pairConn, latency time.Duration) *queue { return &queue{conn: c, latency: latency} }

func (q *queue) send(do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, event{time.Now().Add(q.latency), do})
	if !q.busy {
		q.busy = true
		q.conn.pumps.Go(q.pump)
	}
}

func (q *queue) pump() {
	for {
		q.mu.Lock()
		if len(q.events) == 0 {
			q.busy = false
			q.mu.Unlock()
			return
		}
		next := q.events[0]
		q.events = q.events[1:]
		q.mu.Unlock()
		time.Sleep(time.Until(next.at))
		q.conn.mu.Lock()
		cut := q.conn.cut
		q.conn.mu.Unlock()
		if cut != nil {
			select {
			case <-cut:
			case <-q.conn.ctx.Done():
			}
		}
		if q.conn.ctx.Err() == nil && q.conn.peer.ctx.Err() == nil {
			q.conn.peer.received.Add(1)
			next.do()
		}
	}
}

// pairStream is one end of a stream.
type pairStream struct {
	conn     *pairConn
	peer     *pairStream
	out      *queue
	ctx      context.Context
	cancel   context.CancelCauseFunc
	announce func() // the peer accepts the stream with its first bytes

	mu      sync.Mutex
	changed sync.Cond
	killed  bool

	room     int // of the peer's window
	sent     int
	reliable int
	fin      bool
	sendErr  error
	writeBy  time.Time

	received     bytes.Buffer
	read         int
	finished     bool
	cancelled    error // by this side
	resetCode    quic.StreamErrorCode
	reset        bool
	resetAt      int // all before it is reliable
	readBy       time.Time
	reads, wries sync.Mutex // one at a time
}

func newPairStream(c *pairConn) *pairStream {
	s := &pairStream{conn: c, room: c.window, out: newQueue(c, c.latency())}
	s.changed.L = &s.mu
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	c.mu.Lock()
	c.streams = append(c.streams, s)
	c.mu.Unlock()
	if c.ctx.Err() != nil {
		s.killed = true
	}
	return s
}

// tell has something happen at the other end.
func (s *pairStream) tell(do func(peer *pairStream)) {
	announce := s.announce
	s.announce = nil
	s.out.send(func() {
		if announce != nil {
			announce()
		}
		s.peer.mu.Lock()
		defer s.peer.mu.Unlock()
		do(s.peer)
		s.peer.changed.Broadcast()
	})
}

func (s *pairStream) Context() context.Context { return s.ctx }

func (s *pairStream) WriteWithLimit(b []byte, _ func(int) int) (written int, err error) {
	s.wries.Lock()
	defer s.wries.Unlock()
	defer s.conn.interrupt()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.sendErr != nil:
			return written, s.sendErr
		case s.killed:
			return written, errKilled
		case s.fin:
			return written, errors.New("written after Close")
		case !s.writeBy.IsZero() && !time.Now().Before(s.writeBy):
			return written, os.ErrDeadlineExceeded
		case len(b) == 0:
			return written, nil
		}
		if n := min(s.room, len(b)); n > 0 {
			data := append([]byte(nil), b[:n]...)
			s.room, s.sent, written, b = s.room-n, s.sent+n, written+n, b[n:]
			s.tell(func(peer *pairStream) {
				if peer.cancelled == nil && !peer.reset {
					peer.received.Write(data)
				}
			})
			continue
		}
		s.changed.Wait()
	}
}

func (s *pairStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sendErr == nil && !s.fin && !s.killed {
		s.fin = true
		s.tell(func(peer *pairStream) { peer.finished = true })
	}
	return nil
}

func (s *pairStream) SetReliableBoundary() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reliable = s.sent
}

func (s *pairStream) CancelWrite(code quic.StreamErrorCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked(code, false)
}

func (s *pairStream) stopLocked(code quic.StreamErrorCode, remote bool) {
	if s.sendErr != nil || s.killed {
		return
	}
	s.sendErr = &quic.StreamError{ErrorCode: code, Remote: remote}
	s.cancel(s.sendErr)
	s.changed.Broadcast()
	reliable := s.reliable
	if remote {
		reliable = 0
	}
	s.tell(func(peer *pairStream) {
		if !peer.reset && !(peer.finished && peer.received.Len() == 0) {
			peer.reset, peer.resetCode, peer.resetAt = true, code, reliable
		}
	})
}

func (s *pairStream) CancelRead(code quic.StreamErrorCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancelled != nil || s.killed {
		return
	}
	s.cancelled = &quic.StreamError{ErrorCode: code}
	s.received = bytes.Buffer{}
	s.changed.Broadcast()
	s.tell(func(peer *pairStream) {
		if !peer.fin || peer.sendErr != nil {
			peer.stopLocked(code, true)
		}
	})
}

// waitLocked waits for something to read.
func (s *pairStream) waitLocked() error {
	for {
		switch {
		case s.killed:
			return errKilled
		case s.cancelled != nil && s.reset && s.resetAt <= s.read:
			return io.EOF // as quic-go does
		case s.cancelled != nil:
			return s.cancelled
		case s.reset && s.read >= s.resetAt:
			return &quic.StreamError{ErrorCode: s.resetCode, Remote: true}
		case s.received.Len() > 0:
			return nil
		case s.finished && !s.reset:
			return io.EOF
		case !s.readBy.IsZero() && !time.Now().Before(s.readBy):
			return os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

func (s *pairStream) Peek(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.waitLocked(); err != nil {
		return 0, err
	}
	return copy(b, s.received.Bytes()), nil
}

func (s *pairStream) Read(b []byte) (int, error) {
	s.reads.Lock()
	defer s.reads.Unlock()
	defer s.conn.interrupt()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.waitLocked(); err != nil {
		return 0, err
	}
	n, _ := s.received.Read(b)
	s.read += n
	s.tell(func(peer *pairStream) { peer.room += n })
	var err error
	if s.received.Len() == 0 && s.finished {
		err = io.EOF // data and the end at once, as quic-go does
	}
	return n, err
}

func (s *pairStream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readBy = t
	s.wake(t)
	return nil
}

func (s *pairStream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeBy = t
	s.wake(t)
	return nil
}

func (s *pairStream) wake(t time.Time) {
	s.changed.Broadcast()
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
	}
}

var _ = net.ErrClosed
