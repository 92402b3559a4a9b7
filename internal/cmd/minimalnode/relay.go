package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

// accept takes the relays that the server opens (section 6).
func (s *session) accept() {
	for {
		stream, err := s.conn.AcceptStream(s.conn.Context())
		if err != nil {
			return
		}
		s.relays.Add(1)
		s.work.Go(func() {
			defer s.relays.Add(-1)
			s.serve(stream)
		})
	}
}

// serve is section 6.1.
func (s *session) serve(stream *quic.Stream) {
	stream.SetReadDeadline(time.Now().Add(10 * time.Second))
	name, err := readHeader(stream)
	if err != nil {
		resetStream(stream, badHeader)
		return
	}
	stream.SetReadDeadline(time.Time{})
	for _, service := range s.node.services {
		if service.name != name {
			continue
		}
		ctx, cancel := context.WithTimeout(stream.Context(), 10*time.Second)
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", service.upstream)
		cancel()
		switch {
		case err == nil:
			(&relay{stream: stream, tcp: conn.(*net.TCPConn)}).run()
		case errors.Is(err, syscall.ECONNREFUSED):
			resetStream(stream, upstreamRefused)
		case errors.Is(err, os.ErrDeadlineExceeded):
			resetStream(stream, upstreamTimeout)
		default:
			resetStream(stream, upstreamUnreachable)
		}
		return
	}
	resetStream(stream, unknownService)
}

// readHeader reads not one byte more than the header.
func readHeader(stream io.Reader) (service string, err error) {
	size, err := readLength(single{stream}, 4096)
	if err != nil {
		return "", err
	}
	header := make([]byte, size)
	if _, err := io.ReadFull(stream, header); err != nil {
		return "", err
	}
	f, ok := parse(header)
	if !ok {
		return "", errors.New("the header cannot be decoded")
	}
	return f.text(1)
}

type single struct{ io.Reader }

func (r single) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r.Reader, b[:])
	return b[0], err
}

func resetStream(stream *quic.Stream, code quic.StreamErrorCode) {
	stream.CancelWrite(code)
	stream.CancelRead(code)
}

// relay joins a stream and a TCP connection (sections 6.2 and 6.3).
type relay struct {
	stream *quic.Stream
	tcp    *net.TCPConn
	full   atomic.Bool // TCP accepts no more
	gone   atomic.Bool // the server reset the relay
}

const lastWords = 10 * time.Second

func (r *relay) run() {
	stop := context.AfterFunc(r.stream.Context(), func() { r.tcp.SetReadDeadline(time.Unix(1, 0)) }) // STOP_SENDING came
	defer stop()
	var both sync.WaitGroup
	both.Go(r.toTCP)
	both.Go(r.toStream)
	both.Wait()
	if r.gone.Load() {
		r.tcp.SetLinger(0)
	}
	r.tcp.Close()
}

func (r *relay) reset() {
	resetStream(r.stream, relayReset)
	r.tcp.SetLinger(0)
	r.tcp.Close()
}

func (r *relay) toStream() {
	_, err := io.Copy(struct{ io.Writer }{r.stream}, struct{ io.Reader }{r.tcp})
	stopped, isStopped := errors.AsType[*quic.StreamError](context.Cause(r.stream.Context()))
	isStopped = isStopped && stopped.Remote
	switch {
	case r.full.Load():
		r.reset()
	case isStopped && stopped.ErrorCode == 0: // it has stopped reading, but keeps sending
		r.stream.CancelWrite(0)
	case isStopped:
		r.gone.Store(true)
		r.stream.CancelWrite(relayReset)
		r.stream.SetReadDeadline(time.Now().Add(lastWords))
	case err == nil:
		r.stream.Close()
	default:
		r.reset()
	}
}

func (r *relay) toTCP() {
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.stream.Read(buffer)
		if _, failed := r.tcp.Write(buffer[:n]); failed != nil && !r.gone.Load() {
			r.full.Store(true)
			r.stream.CancelRead(0)
			r.tcp.SetReadDeadline(time.Now().Add(lastWords))
			return
		}
		switch {
		case err == io.EOF:
			r.tcp.CloseWrite()
			return
		case err != nil:
			r.reset()
			return
		}
	}
}
