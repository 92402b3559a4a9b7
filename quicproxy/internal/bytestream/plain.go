package bytestream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/quicstream"
)

// plain is a Stream that ends with its QUIC stream.
type plain struct {
	stream  quicstream.Stream
	count   func(bytes, counted int) // of memory that a write holds; nil: nobody counts
	carrier *association.Carrier
	closed  atomic.Bool // by this side
	writing sync.Mutex  // a QUIC stream may not be closed while it is written to
	working sync.WaitGroup
	unwatch func()
	finish  sync.Once
	ending
}

func newPlain(c *association.Carrier, stream quicstream.Stream) (*plain, error) {
	p := &plain{stream: stream, carrier: c}
	if !c.Relays.Add(p) {
		return nil, association.ErrClosed
	}
	p.unwatch = watchSending(stream, &p.working, p.look)
	return p, nil
}

func beginPlain(c *association.Carrier, stream quicstream.Stream, header *framing.StreamHeader, first []byte) (Stream, error) {
	frame, err := framing.AppendStreamHeader(nil, header)
	if err != nil {
		return nil, err
	}
	p, err := newPlain(c, stream)
	if err != nil {
		return nil, err
	}
	quicstream.Write(stream, append(frame, first...)) // its error comes again
	return p, nil
}

func acceptPlain(c *association.Carrier, stream quicstream.Stream) (Stream, error) {
	p, err := newPlain(c, stream)
	if err != nil {
		return nil, &RefusedError{framing.ErrorRelayShutdown}
	}
	return p, nil
}

// look notices that the peer stopped reading.
func (p *plain) look() {
	code, stopped := quicstream.StoppedBy(p.stream)
	if !stopped {
		return // this side ended it; or the connection did, which Lost tells
	}
	p.stream.CancelWrite(quic.StreamErrorCode(framing.NoError)) // so that quic-go forgets the stream
	if code != framing.NoError {
		p.stream.SetReadDeadline(time.Now().Add(ResetLinger))
	}
	p.notify(code != framing.NoError)
}

// Wait implements Stream.
func (p *plain) Wait() {
	var one [1]byte
	p.stream.Peek(one[:]) // Read returns its error again, and has quic-go forget the stream
}

// Read implements Stream.
func (p *plain) Read(b []byte) (int, error) {
	n, err := p.stream.Read(b)
	if n > 0 || err == nil {
		return n, nil
	}
	return 0, p.explain(err)
}

// explain turns an error of the QUIC stream into the one that Stream promises.
func (p *plain) explain(err error) error {
	code, remote := quicstream.RemoteCode(err)
	switch {
	case err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case p.closed.Load():
		return net.ErrClosed
	case remote && code == framing.NoError:
		return ErrStopped
	case remote:
		return &ResetError{code}
	case errors.Is(err, net.ErrClosed):
		return ErrLost
	}
	return err
}

// Write implements Stream.
func (p *plain) Write(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	n, err := quicstream.Write(p.stream, b)
	if err != nil {
		err = p.explain(err)
	}
	return n, err
}

// WriteBuffer implements Stream.
func (p *plain) WriteBuffer(b []byte) error {
	if p.count != nil {
		p.count(cap(b), cap(b))
		defer p.count(0, cap(b))
	}
	defer buffer.Free(b)
	_, err := p.Write(b)
	return err
}

// CloseWrite implements Stream.
func (p *plain) CloseWrite() error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.stream.Close()
}

// CancelRead implements Stream.
func (p *plain) CancelRead() { p.stream.CancelRead(quic.StreamErrorCode(framing.NoError)) }

// Reset implements Stream.
func (p *plain) Reset(code framing.ErrorCode) { p.Discard(code) }

// Discard implements Stream. What is under way still arrives.
func (p *plain) Discard(code framing.ErrorCode) {
	if p.closed.Swap(true) {
		return
	}
	p.stream.SetReliableBoundary()
	quicstream.Reset(p.stream, code)
	p.notify(true)
}

// Watch implements Stream.
func (p *plain) Watch(ended func(reset bool)) {
	p.look()
	p.watch(ended)
}

// Finish implements Stream.
func (p *plain) Finish() {
	p.finish.Do(func() {
		p.carrier.Relays.Remove(p)
		p.unwatch()
		p.working.Wait()
		p.carrier.Abandoned(p.stream)
	})
}

// Lost implements association.Member.
func (p *plain) Lost(*association.Carrier) { p.Discard(framing.ErrorRelayReset) }

// HasUnacked implements association.Member.
func (p *plain) HasUnacked() bool { return false }

// SetReadDeadline implements Stream.
func (p *plain) SetReadDeadline(t time.Time) error { return p.stream.SetReadDeadline(t) }

// SetWriteDeadline implements Stream.
func (p *plain) SetWriteDeadline(t time.Time) error { return p.stream.SetWriteDeadline(t) }

// Current implements Stream.
func (p *plain) Current() (quicstream.Stream, *association.Carrier) { return p.stream, p.carrier }

// Resumed implements Stream.
func (p *plain) Resumed() uint64 { return 0 }

// Count implements Stream.
func (p *plain) Count(kept func(bytes, counted int), _ func(bytes int)) { p.count = kept }

// Seen implements Stream.
func (p *plain) Seen() bool { return true }

// TakeBack implements Stream.
func (p *plain) TakeBack() bool { return false }

// TakenBack implements Stream.
func (p *plain) TakenBack() ([]byte, bool) { return nil, false }
