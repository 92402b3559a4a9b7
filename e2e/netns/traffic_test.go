//go:build linux

package netns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// kind is a kind of traffic on a relay.
type kind string

const (
	idle     kind = "idle"     // nothing, until the relay is poked
	echo     kind = "echo"     // a few bytes there and back, again and again
	download kind = "download" // as much as possible towards home
	upload   kind = "upload"   // as much as possible from home
)

// thought is the pause of an echo between an answer and the next question.
const thought = 20 * time.Millisecond

func (r *relay) atVisitor() error {
	switch r.kind {
	case download:
		return r.pour(r.visitor)
	case upload:
		return r.drain(r.visitor)
	}
	return r.ask(r.visitor)
}

func (r *relay) atHome() error {
	switch r.kind {
	case download:
		return r.drain(r.home)
	case upload:
		return r.pour(r.home)
	}
	if _, err := io.Copy(struct{ io.Writer }{r.home}, struct{ io.Reader }{r.home}); err != nil {
		return fmt.Errorf("the echo at home: %w", err)
	}
	return r.home.CloseWrite()
}

// ask makes exchanges until told to quit.
func (r *relay) ask(c *net.TCPConn) error {
	for n := uint64(1); ; n++ {
		var pause <-chan time.Time
		if r.kind == echo {
			pause = time.After(thought)
		}
		select {
		case <-pause:
		case <-r.poked:
		case <-r.quit:
			return hangUp(c)
		case <-r.closed:
			return net.ErrClosed
		}
		question := binary.BigEndian.AppendUint64(nil, n)
		if _, err := c.Write(question); err != nil {
			return fmt.Errorf("asking: %w", err)
		}
		answer := make([]byte, len(question))
		if _, err := io.ReadFull(c, answer); err != nil {
			return fmt.Errorf("waiting for an answer: %w", err)
		}
		if !bytes.Equal(answer, question) {
			return fmt.Errorf("got %x, not %x", answer, question)
		}
		r.arrivals.add(len(answer))
	}
}

// hangUp ends both directions as TCP does.
func hangUp(c *net.TCPConn) error {
	if err := c.CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(c)
	if len(rest) > 0 {
		err = errors.Join(err, fmt.Errorf("got %d bytes that nobody sent", len(rest)))
	}
	return err
}

// patternLength is a prime, so that no piece that is lost, doubled or misplaced goes unnoticed.
const (
	patternLength = 65521
	piece         = 32 << 10
)

// pattern is what bulk traffic repeats. It is stored once plus a piece, so that every piece of the traffic is
// a slice of it.
var pattern = func() []byte {
	p := make([]byte, patternLength, patternLength+piece)
	random := rand.NewChaCha8([32]byte{})
	random.Read(p)
	return append(p, p[:piece]...)
}()

// pour sends until told to quit.
func (r *relay) pour(c *net.TCPConn) error {
	for {
		select {
		case <-r.quit:
			return c.CloseWrite()
		default:
		}
		at := r.sent.Load() % patternLength
		n, err := c.Write(pattern[at : at+piece])
		r.sent.Add(int64(n))
		if err != nil {
			return fmt.Errorf("sending: %w", err)
		}
	}
}

// drain checks what arrives until the end.
func (r *relay) drain(c *net.TCPConn) error {
	buffer := make([]byte, piece)
	for total := int64(0); ; {
		n, err := c.Read(buffer)
		at := total % patternLength
		if !bytes.Equal(buffer[:n], pattern[at:at+int64(n)]) {
			return fmt.Errorf("wrong bytes after %d right ones", total)
		}
		total += int64(n)
		switch {
		case err == io.EOF && total != r.sent.Load():
			return fmt.Errorf("%d bytes arrived of %d", total, r.sent.Load())
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("receiving: %w", err)
		}
		r.arrivals.add(n)
	}
}
