package vhost

import (
	"errors"
	"net"
)

const (
	// maxRead is how many bytes of a client are read to learn the domain: a ClientHello with a post-quantum key
	// has 2 KiB, a request with large cookies 8 KiB.
	maxRead = 16 << 10
	// Cost is how much memory a client needs until its domain is known, at most: what was read, a TLS record of
	// the largest size, a ClientHello of many records as it is put together, and the goroutine that waits.
	Cost = 64 << 10
)

var (
	// ErrForeign says that the client speaks another protocol than the one of the port, or ambiguously.
	ErrForeign = errors.New("the client speaks another protocol")
	// ErrNoName says that the client asks for no domain.
	ErrNoName = errors.New("the client asks for no domain")

	errTooLong = errors.New("the beginning of the connection is too long")
)

// recorder is a connection of which a bounded number of bytes is read and kept, and on which nothing is written.
type recorder struct {
	net.Conn
	read []byte
}

func (r *recorder) Read(p []byte) (n int, err error) {
	room := maxRead - len(r.read)
	if room == 0 {
		return 0, errTooLong
	}
	n, err = r.Conn.Read(p[:min(len(p), room)])
	r.read = append(r.read, p[:n]...)
	return n, err
}

func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

func (r *recorder) Close() error { return nil }
