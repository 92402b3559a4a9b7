package udp

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// socket is one of the sockets of a Conn.
type socket struct {
	net.PacketConn
	udp     *net.UDPConn           // the same, if batches are read from it (newSocket); nil: a plain one
	receive func() (*batch, error) // waits for datagrams; one goroutine at a time

	seen    atomic.Bool // it has received a datagram
	retried atomic.Bool // a write has been tried again because of EPERM

	// Guarded by Conn.mu.
	disturbed bool      // the newest: its read deadline is not the Conn's
	forwarded bool      // an older one: it has a goroutine
	expiry    time.Time // an older one: when it closes; zero: no newer one has received anything yet

	gone  chan struct{} // closed when the socket is
	close func() error
}

func newPlainSocket(pc net.PacketConn) *socket {
	s := &socket{PacketConn: pc, gone: make(chan struct{})}
	s.receive = s.receivePlain
	s.close = sync.OnceValue(func() error {
		close(s.gone)
		return pc.Close()
	})
	return s
}

// receivePlain is used only for older sockets.
func (s *socket) receivePlain() (*batch, error) {
	data := make([]byte, maxDatagram)
	n, from, err := s.ReadFrom(data)
	if err != nil {
		return nil, err
	}
	return &batch{messages: []message{{data: data[:n], from: from}}}, nil
}

func setReadBuffer(pc net.PacketConn, bytes int) error {
	if b, ok := pc.(interface{ SetReadBuffer(bytes int) error }); ok {
		return b.SetReadBuffer(bytes)
	}
	return nil // a connection without system buffers, of which quic-go would complain
}

func setWriteBuffer(pc net.PacketConn, bytes int) error {
	if b, ok := pc.(interface{ SetWriteBuffer(bytes int) error }); ok {
		return b.SetWriteBuffer(bytes)
	}
	return nil
}
