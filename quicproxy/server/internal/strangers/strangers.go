package strangers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/handshakes"
)

const (
	// Above this rate clients must first prove their address (Retry, RFC 9000 section 8.1.2), so that a flood
	// from forged addresses costs nothing.
	retryAboveRate  = 256 // per second
	retryAboveBurst = 512
	// crowdedTimeout bounds the handshake, and then the wait for Hello, while strangers use half of their
	// memory.
	crowdedTimeout = 2 * time.Second
	// maxBeforeWelcome is how many bytes of packets may come between the handshake and Welcome: a Hello has
	// 500.
	maxBeforeWelcome = 4 << 10
	// maxHandshake bounds how many bytes of a handshake are not counted.
	maxHandshake = 8 << 10
	// watchEvery bounds how long more than that may keep coming.
	watchEvery = 10 * time.Millisecond
)

var (
	errHandshakeLimit = errors.New("too many handshakes")
	errStreamTooEarly = &framing.ProtocolError{Code: framing.ErrorUnexpectedMessage, Text: "a stream was opened before Hello was answered"}
	errNoPlace        = &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "others need the place: no Hello came for a long time"}
	errNoHello        = &quicproxy.FailureError{Code: framing.ErrorKeepaliveTimeout, Text: "no Hello came, and many connections are waiting"}
)

// Strangers are the connections of a server that have not been admitted. Package handshakes accounts for
// what they cost; this package sees what only QUIC can tell: how much came, and on which streams.
type Strangers struct {
	account  *handshakes.Account
	arrivals *rate.Limiter
	come     chan struct{} // has room for one: a stranger came
	closing  sync.WaitGroup

	mu      sync.Mutex
	waiting map[*quic.Conn]*stranger
}

// stranger is a connection that has not been admitted.
type stranger struct {
	conn       *quic.Conn
	since      time.Time
	handshaken bool   // the handshake is complete; guarded by Strangers.mu, like the following
	handshake  uint64 // bytes of the handshake
	closing    bool
}

// New returns Strangers without any.
func New() *Strangers {
	return &Strangers{
		account:  handshakes.New(handshakes.Memory),
		arrivals: rate.NewLimiter(retryAboveRate, retryAboveBurst),
		come:     make(chan struct{}, 1),
		waiting:  make(map[*quic.Conn]*stranger),
	}
}

// NeedsRetry is for quic.Transport.VerifySourceAddress.
func (s *Strangers) NeedsRetry(net.Addr) bool {
	return !s.arrivals.Allow() || s.account.Crowded()
}

// Config is for quic.Config.GetConfigForClient: while there are many strangers, a handshake gets little time.
func (s *Strangers) Config(config *quic.Config) func(*quic.ClientInfo) (*quic.Config, error) {
	hurried := config.Clone()
	hurried.HandshakeIdleTimeout = crowdedTimeout
	return func(*quic.ClientInfo) (*quic.Config, error) {
		if s.account.Crowded() {
			return hurried, nil
		}
		return config, nil
	}
}

type handshakeKey struct{}

// Begin is for quic.Transport.ConnContext: it refuses a connection, or counts it until it ends or is
// admitted.
func (s *Strangers) Begin(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	handshake := s.account.Begin(netaddr.Endpoint(client.RemoteAddr), time.Now())
	if handshake == nil {
		return nil, errHandshakeLimit
	}
	ctx = context.WithValue(ctx, handshakeKey{}, handshake)
	context.AfterFunc(ctx, handshake.Done)
	return ctx, nil
}

func handshakeOf(connection *quic.Conn) *handshakes.Handshake {
	return connection.Context().Value(handshakeKey{}).(*handshakes.Handshake)
}

// Greet watches a connection, whose handshake the server has just answered, until Leave.
func (s *Strangers) Greet(connection *quic.Conn) {
	g := &stranger{conn: connection, since: time.Now()}
	s.mu.Lock()
	s.waiting[connection] = g
	s.mu.Unlock()
	wait.Signal(s.come)
	handshakeOf(connection).Answered(func() { s.closing.Go(func() { conn.Close(connection, errNoPlace) }) })
}

// Secured notes that the handshake of a connection is complete.
func (s *Strangers) Secured(connection *quic.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.waiting[connection]; g != nil {
		g.handshaken, g.handshake = true, min(connection.ConnectionStats().BytesReceived, maxHandshake)
	}
	handshakeOf(connection).Read()
}

// Leave stops watching a connection: it was admitted, or has ended.
func (s *Strangers) Leave(connection *quic.Conn) {
	s.mu.Lock()
	delete(s.waiting, connection)
	s.mu.Unlock()
	handshakeOf(connection).Done()
}

// Admitted notes that a connection is a node's. From now on places are reserved for its address.
func (s *Strangers) Admitted(connection *quic.Conn) {
	s.Leave(connection)
	s.Know(netaddr.Endpoint(connection.RemoteAddr()).Addr())
}

// Know reserves places for an address that a node had.
func (s *Strangers) Know(address netip.Addr) { s.account.Know(address.Unmap(), time.Now()) }

// Read notes that a message of a connection was read, and so no longer costs anything.
func (s *Strangers) Read(connection *quic.Conn) { handshakeOf(connection).Read() }

// Len returns how many connections wait to be admitted.
func (s *Strangers) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// Wait returns when all rejected connections are closed.
func (s *Strangers) Wait() { s.closing.Wait() }

// Watch closes connections that use more than a stranger may, until ctx ends.
func (s *Strangers) Watch(ctx context.Context) {
	over, cancel := context.WithCancel(ctx) // with it AcceptUniStream does not wait
	cancel()
	for {
		select {
		case <-s.come:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && s.look(over) {
			wait.Sleep(ctx, watchEvery)
		}
	}
}

// look checks all strangers once, and reports whether there are any.
func (s *Strangers) look(over context.Context) bool {
	now, timeout := time.Now(), conn.HelloTimeout
	if s.account.Crowded() {
		timeout = crowdedTimeout
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for connection, g := range s.waiting {
		err := g.wants(over)
		if err == nil && now.Sub(g.since) > timeout {
			err = errNoHello
		}
		if err != nil && !g.closing {
			g.closing = true
			s.closing.Go(func() { conn.Close(connection, err) })
		}
	}
	return len(s.waiting) > 0
}

// wants returns why a stranger must be closed; nil: it may stay.
func (g *stranger) wants(over context.Context) error {
	if _, err := g.conn.AcceptUniStream(over); err == nil {
		return errStreamTooEarly
	}
	if !g.handshaken {
		return nil
	}
	if g.conn.ConnectionStats().BytesReceived > g.handshake+maxBeforeWelcome || handshakeOf(g.conn).Overdrawn() {
		return conn.ErrTooMuch
	}
	return nil
}
