package flow

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/quicstream"
)

// Conn is what flows need of a connection.
type Conn interface {
	// SendDatagram queues a datagram. It waits while others are queued, until the connection ends.
	SendDatagram([]byte) error
	// OpenUniStream opens a stream, and waits while the peer allows no more of them.
	OpenUniStream(context.Context) (quicstream.SendStream, error)
	// Sent counts the bytes that were sent, in packets.
	Sent() uint64
	// Context ends with the connection.
	Context() context.Context
}

// chunk is in what steps memory is taken.
const chunk = 32 << 10

// Sender sends the datagrams of flows over a connection. While it has nothing to send it costs nothing.
type Sender struct {
	conn     Conn
	counters *Counters
	keeps    *memory.Holding
	working  sync.WaitGroup
	large    [maxStreams]stream
	seed     maphash.Seed

	mu      sync.Mutex
	queue   queue
	waits   int // bytes in queue and in the streams
	charged int // of the memory account, for them
	running bool
	closed  bool
}

// NewSender returns a Sender. The account pays for what waits in it. The caller closes it.
func NewSender(conn Conn, account *memory.Account, counters *Counters) *Sender {
	s := &Sender{conn: conn, counters: counters, seed: maphash.MakeSeed()}
	s.keeps = account.Open(s)
	return s
}

// Close drops what waits, and returns when nothing of it is left. The connection has ended.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for i := range s.large {
		s.large[i].close()
	}
	s.drop(&s.counters.Away)
	s.working.Wait()
	s.keeps.Close()
}

// Send queues a datagram of a service, or drops it. The payload may be reused.
func (s *Sender) Send(service string, d framing.Datagram) {
	data, err := framing.AppendDatagram(make([]byte, 0, len(d.Payload)+16), d)
	if err != nil {
		s.counters.Malformed.Add(1)
		return
	}
	i := item{service, data}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		s.counters.Away.Add(1)
		return
	case !s.chargeLocked(i.cost()):
		s.counters.Memory.Add(1)
		return
	}
	before := s.queue.cost
	s.counters.Overflow.Add(uint64(s.queue.push(i)))
	s.addLocked(s.queue.cost - before)
	if !s.running {
		s.running = true
		s.working.Go(s.run)
	}
}

// chargeLocked takes memory for more bytes, if there is some.
func (s *Sender) chargeLocked(more int) bool {
	missing := s.waits + more - s.charged
	if missing <= 0 {
		return true
	}
	missing = max(missing, chunk)
	if s.keeps.Room(missing) < missing {
		return false
	}
	s.keeps.Add(missing)
	s.charged += missing
	return true
}

// addLocked notes that bytes wait, or that fewer do. Memory is given back when nothing waits.
func (s *Sender) addLocked(bytes int) {
	if s.waits += bytes; s.waits == 0 {
		s.keeps.Add(-s.charged)
		s.charged = 0
	}
}

// left notes that bytes no longer wait.
func (s *Sender) left(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addLocked(-bytes)
}

// drop empties the queue.
func (s *Sender) drop(reason interface{ Add(uint64) uint64 }) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.queue.cost
	reason.Add(uint64(s.queue.clear()))
	s.addLocked(-before)
}

// EndForMemory drops what waits, because the memory budget is used up.
func (s *Sender) EndForMemory(*memory.Holding, *slog.Logger) {
	s.drop(&s.counters.Memory)
	for i := range s.large {
		s.large[i].drop(s, &s.counters.Memory)
	}
}

// take returns the next turn; nil: nothing waits, and run ends.
func (s *Sender) take() (turn []item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for bytes := 0; bytes < turnBytes; {
		i, ok := s.queue.pop()
		if !ok {
			break
		}
		turn = append(turn, i)
		bytes += i.cost()
	}
	s.running = len(turn) > 0
	return turn
}

// run sends turn after turn while something waits.
func (s *Sender) run() {
	pace := newPace(s.conn)
	for turn := s.take(); turn != nil; turn = s.take() {
		for _, i := range turn {
			s.send(i, pace)
		}
		pace.leaveRoom()
	}
}

// send hands a datagram to QUIC.
func (s *Sender) send(i item, pace *pace) {
	pace.sending(len(i.data))
	err := s.conn.SendDatagram(i.data)
	if _, large := errors.AsType[*quic.DatagramTooLargeError](err); large {
		pace.bytes -= uint64(len(i.data))
		s.large[maphash.String(s.seed, i.service)%maxStreams].add(s, i)
		return
	}
	s.left(i.cost())
	if err != nil {
		s.counters.Away.Add(1)
		return
	}
	if i.hasPayload() {
		s.counters.Sent.Add(1)
	}
}
