package quicproxy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// ending is how a program ends its connection.
type ending string

const (
	ends   ending = "end"   // of what it sends; it reads on to the end
	resets ending = "reset" // at any time
	closes ending = "close" // when it has sent all, whatever comes
)

// side is one end of a public connection and the program that uses it: a client, or a service. Results are
// read only after it has ended.
type side struct {
	*rand.Rand
	id      uint64 // the first eight bytes that it sends
	total   int    // bytes to send
	end     ending
	after   int  // so many bytes are read before anything is sent; -1: all
	slow    bool // it reads with pauses
	stall   int  // after so many bytes it reads nothing for long; 0: never
	patient time.Duration

	by                *program // that brought it to a service
	peer              uint64   // who the other side says that it is; 0: it has not
	read, written     int
	tried             int   // bytes, of which a write that failed may have sent some
	wrong             error // something else came than was sent
	readErr, writeErr error
	begun, ended      time.Time
}

const idSize = 8

// newSide makes a program of up to 2^bits bytes.
func newSide(r *rand.Rand, id uint64, bits int) *side {
	s := &side{Rand: r, id: id, end: ends, total: idSize + r.IntN(1<<r.IntN(bits+1)), slow: r.IntN(4) == 0}
	switch r.IntN(12) {
	case 0:
		s.end, s.patient = resets, anyTime(r, 34)
		s.total *= r.IntN(2)
	case 1:
		s.end = closes
	}
	if r.IntN(6) == 0 {
		s.stall = 1 + r.IntN(s.total+1)
	}
	return s
}

// run plays the program on a connection.
func (s *side) run(c net.Conn) {
	s.begun = time.Now()
	ready := make(chan struct{}) // what is sent may be
	var writing sync.WaitGroup
	chunks := rand.New(rand.NewPCG(s.Uint64(), 1))
	if s.end == resets {
		timer := time.AfterFunc(s.patient, func() {
			c.(lingerer).SetLinger(0)
			c.Close()
		})
		defer timer.Stop()
	}
	writing.Go(func() {
		<-ready
		s.write(c, chunks)
	})
	s.readAll(c, ready)
	s.ended = time.Now()
	writing.Wait()
	if s.end != resets {
		c.Close()
		return
	}
	c.(lingerer).SetLinger(0)
	c.Close()
}

func (s *side) write(c net.Conn, chunks *rand.Rand) {
	for s.written < s.total && s.writeErr == nil {
		n := min(s.total-s.written, 1+chunks.IntN(1<<chunks.IntN(17)))
		var sent int
		s.tried = s.written + n
		sent, s.writeErr = c.Write(content(s.id, s.written, n))
		s.written += sent
		if chunks.IntN(4) == 0 {
			time.Sleep(anyTime(chunks, 30))
		}
	}
	switch {
	case s.writeErr != nil:
	case s.end == ends:
		s.writeErr = closeWriteErr(c)
	case s.end == closes:
		c.Close()
	}
}

// readAll reads to the end, and closes ready when the program may send.
func (s *side) readAll(c net.Conn, ready chan struct{}) {
	wait := s.after
	var first []byte
	for b := make([]byte, 64<<s.IntN(11)); ; {
		if wait >= 0 && s.read >= wait {
			close(ready)
			wait = -2
		}
		n, err := c.Read(b)
		from := s.read
		if missing := min(idSize-len(first), n); missing > 0 {
			if first = append(first, b[:missing]...); len(first) == idSize {
				s.peer = binary.BigEndian.Uint64(first)
			}
			from += missing
		}
		got := b[from-s.read : n]
		if len(got) > 0 && !bytes.Equal(got, content(s.peer, from, len(got))) && s.wrong == nil {
			s.wrong = fmt.Errorf("wrong bytes within the %d from %d on", len(got), from)
		}
		was := s.read
		s.read += n
		if err != nil {
			s.readErr = err
			break
		}
		if s.slow && s.IntN(4) == 0 {
			time.Sleep(time.Duration(n>>8) * time.Millisecond) // 1 MB/s
		}
		if was < s.stall && s.read >= s.stall {
			time.Sleep(anyTime(s.Rand, 33))
		}
	}
	if wait != -2 {
		close(ready)
	}
}

// sawEnd reports whether the other side's end came, not a reset. TCP reports a reset to only one call, and
// then the end.
func (s *side) sawEnd() bool {
	return s.readErr == io.EOF && !errors.Is(s.writeErr, syscall.ECONNRESET)
}

func (s *side) String() string {
	return fmt.Sprintf("%d %v after %d of %d bytes, %v; read %d of %d: %v", s.id, s.end, s.written, s.total, s.writeErr, s.read, s.peer, s.readErr)
}

// noise makes every lost, doubled or misplaced byte show: its length is a prime.
var noise = someBytes(65521, 1)

// content is what a side sends: its id, and bytes of its own.
func content(id uint64, from, n int) []byte {
	b := make([]byte, 0, n)
	if from < idSize {
		name := binary.BigEndian.AppendUint64(nil, id)
		b = append(b, name[from:min(idSize, from+n)]...)
	}
	for len(b) < n {
		at := int((uint64(from+len(b)) + id*7919) % uint64(len(noise)))
		b = append(b, noise[at:min(len(noise), at+n-len(b))]...)
	}
	return b
}
