package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
)

const (
	// ResetLinger is how long a relay that was reset may still take to deliver what was sent before.
	ResetLinger = 10 * time.Second
	// maxKept is how many bytes a direction keeps that the peer does not ack; then writes wait.
	maxKept = 8 << 20
)

// resumable is a Stream that goes on over another QUIC stream when one is lost.
type resumable struct {
	association *Association
	number      uint64
	service     string
	header      *framing.StreamHeader // of the opener; nil: the other side opens
	working     sync.WaitGroup        // of the goroutines that reopen it

	mu      sync.Mutex
	changed sync.Cond // a state, what is kept, the stream, or a deadline
	out     sending
	in      receiving
	stream  QUICStream         // of the current attempt; nil: none
	carrier *Carrier           // of stream
	attempt uint64             // the number of the last one
	left    *Carrier           // that the last one was lost on, until there is another
	opening context.CancelFunc // ends the goroutine that opens the next attempt; nil: there is none

	heard    bool              // the peer may know of this relay
	known    bool              // it has said something of it
	finished bool              // Finish returns
	stopped  bool              // CancelRead was called
	code     framing.ErrorCode // this side reset the relay
	final    uint64            // after so many bytes
	received uint64            // packets on carrier before the attempt

	lingering *time.Timer // ends the wait for what the peer sent before it reset the relay; nil: it did not

	acked    time.Time    // when the peer had more last
	began    time.Time    // when the last attempt began
	failures int          // attempts in a row that were lost soon
	untold   int          // bytes taken since the peer was told
	telling  atomic.Int64 // within how long the peer will be told of it; notTelling: not

	back []byte // what was written, if the stream was taken back

	load     load                       // what was written lately
	striping *striping                  // while this side's direction is striped
	stripes  map[ReceiveStream]struct{} // of the other direction
	held     reassembly                 // what they brought

	*deadlines
	ending // has a lock of its own
}

func newResumable(a *Association, number uint64) *resumable {
	s := &resumable{association: a, number: number, acked: time.Now()}
	s.changed.L = &s.mu
	s.telling.Store(notTelling)
	return s
}

// changedLocked tells who waits that something is different.
func (s *resumable) changedLocked() {
	s.changed.Broadcast()
	s.tidyStripesLocked()
	if s.opening != nil && s.overLocked() {
		s.opening()
	}
}

// overLocked reports whether no further attempt is of use.
func (s *resumable) overLocked() bool {
	return s.finished || s.in.state == over && s.out.state == over
}

// Wait implements Stream.
func (s *resumable) Wait() {
	for {
		s.mu.Lock()
		stream, err := s.readableLocked()
		s.mu.Unlock()
		if err != nil || stream == nil {
			return
		}
		var one [1]byte
		if _, err := stream.Peek(one[:]); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		// Read also tells quic-go that the error was seen.
		if n, err := stream.Read(one[:]); n > 0 || !s.readFailed(stream, err) {
			return
		}
	}
}

// Read implements Stream.
func (s *resumable) Read(b []byte) (int, error) {
	for {
		s.mu.Lock()
		stream, err := s.readableLocked()
		n := 0
		if err == nil && stream == nil {
			n = s.takeStripedLocked(b)
		}
		s.mu.Unlock()
		if err != nil {
			return 0, err
		}
		if stream == nil {
			s.tell(soon)
			if n > 0 {
				return n, nil
			}
			continue
		}
		n, err = stream.Read(b)
		if n, taken := s.took(stream, n); taken && n > 0 {
			if err != nil {
				s.readFailed(stream, err)
			}
			return n, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		if err != nil {
			s.readFailed(stream, err)
		}
	}
}

// readableLocked waits for a stream to read from; nil: there is something of stripes to take.
func (s *resumable) readableLocked() (QUICStream, error) {
	for {
		switch {
		case s.in.state == over:
			return nil, s.in.err
		case s.in.state == onStream && s.stream != nil:
			return s.stream, nil
		case s.in.state == striped && s.hasStripedLocked():
			return nil, nil
		case s.deadlines != nil && passed(s.read):
			return nil, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

// took counts n bytes that were read from stream. It reports false if they do not count: they come again over another one.
func (s *resumable) took(stream QUICStream, n int) (int, bool) {
	s.mu.Lock()
	if s.stream != stream || s.in.state == over {
		s.mu.Unlock()
		return 0, false
	}
	s.heard = true
	if n == 0 {
		s.mu.Unlock()
		return 0, true
	}
	s.known = true
	s.in.advance(n)
	s.untold += n
	within := lazily
	if s.untold >= tellAfter {
		s.untold, within = 0, atOnce
	}
	if s.in.state == over {
		within = soon
		s.changedLocked()
	}
	s.mu.Unlock()
	s.tell(within)
	return n, true
}

// readFailed is told of the error of a read. It reports whether there is more to wait for.
func (s *resumable) readFailed(stream QUICStream, err error) (more bool) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	s.mu.Lock()
	if s.stream != stream || s.in.state == over {
		s.mu.Unlock()
		return true // this side does not read it any longer
	}
	if err == io.EOF {
		s.in.eof()
		s.changedLocked()
		s.mu.Unlock()
		s.tell(soon)
		return true
	}
	code, remote := remoteCode(err)
	if remote && code == framing.ErrorRelayStriped {
		s.in.stripe()
		s.changedLocked()
		s.mu.Unlock()
		return true
	}
	s.mu.Unlock()
	if remote && code != framing.ErrorRelayMoved && code != framing.NoError {
		s.resetByPeer(&ResetError{code}, 0)
	} else {
		s.lose(stream)
	}
	return true
}

// Finish implements Stream.
func (s *resumable) Finish() {
	s.mu.Lock()
	var timer *time.Timer
	for s.out.state != over {
		limit := s.association.resume
		if s.code != framing.NoError || s.in.reset != nil {
			limit = ResetLinger
		}
		rest := time.Until(s.acked.Add(limit))
		if rest <= 0 {
			break
		}
		if timer == nil {
			timer = time.AfterFunc(rest, s.broadcast)
			defer timer.Stop()
		} else {
			timer.Reset(rest)
		}
		s.changed.Wait()
	}
	s.finished = true
	delivered := s.out.state == over
	if !delivered && s.code == framing.NoError {
		s.code = framing.ErrorRelayReset // the peer may still wait for something
	}
	s.out.stop(net.ErrClosed)
	s.in.stop(net.ErrClosed)
	stream, cut := s.stream, !delivered || s.code != framing.NoError || s.stopped
	carrier := s.carrier
	if carrier != nil {
		carrier.Relays.remove(s)
	}
	s.stopTimersLocked()
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil {
		if cut {
			cancel(stream, framing.ErrorRelayMoved) // halves that have ended do not mind
		}
		carrier.Abandoned(stream)
	}
	if !delivered {
		s.tell(atOnce)
	}
	s.association.remove(s)
	s.working.Wait()
}

func (s *resumable) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// Current implements Stream.
func (s *resumable) Current() (QUICStream, *Carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream, s.carrier
}

// Heard implements Stream.
func (s *resumable) Heard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listenLocked()
	return s.heard
}

// listenLocked notes that something came over the connection of the stream: the peer may know it.
func (s *resumable) listenLocked() {
	if s.stream != nil && s.carrier.Received() != s.received {
		s.heard = true
	}
}

// Count implements Stream.
func (s *resumable) Count(kept func(bytes, counted int), held func(bytes int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.kept.count, s.held.count = kept, held
	kept(s.out.kept.memory, 0)
	held(s.held.memory)
}

// TakeBack implements Stream.
func (s *resumable) TakeBack() bool {
	s.mu.Lock()
	s.listenLocked()
	if s.heard || s.in.state == over || s.out.state == over || s.out.kept.begin > 0 {
		s.mu.Unlock()
		return false
	}
	s.back = []byte{}
	for _, c := range s.out.kept.chunks {
		s.back = append(s.back, c.data...)
	}
	s.out.stop(ErrTakenBack)
	s.mu.Unlock()
	s.Discard(framing.ErrorRelayMoved)
	return true
}

// TakenBack implements Stream.
func (s *resumable) TakenBack() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back, s.back != nil
}
