package quicconfig

import (
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// A relay whose reader does not read holds at most its stream window of memory at the receiver. The
	// window starts at InitialStreamWindow, so that a thousand stalled relays are cheap, and quic-go doubles
	// it, up to MaxStreamWindow, only for relays that are read: 4 MiB is the bandwidth-delay product of 160
	// Mbit/s at 200 ms.
	InitialStreamWindow = 64 << 10
	MaxStreamWindow     = 4 << 20

	// The connection window counts the unread bytes of all streams together. If it were ever the tighter
	// limit, a few stalled relays would stop all others, so it is out of reach: flow control never couples
	// relays. Stream windows and the number of streams protect the memory.
	connectionWindow = 1 << 40

	// maxStripes is how many relays can be striped over a connection at once; others wait until one has
	// nothing to send.
	maxStripes = 256
	// datagramStreams is how many streams of datagrams the other side may have.
	datagramStreams = 8
	// MaxRelays is how many relays a node accepts at once on a connection.
	MaxRelays = 1 << 14

	// A node never changes its packet size: one learned by path MTU discovery would silence the connection on
	// the next path with a smaller MTU. 1252 fits everywhere except on IPv6 over a 1280-byte link (1232).
	nodePacketSizeIPv4 = 1252
	nodePacketSizeIPv6 = 1232

	// ServerConnectionIDLength must never change: a stateless reset finds its connection by these bytes.
	ServerConnectionIDLength = 8
	// NodeConnectionIDLength is enough for a node, which has few connections.
	NodeConnectionIDLength = 4

	serverHandshakeTimeout = 5 * time.Second
)

// baseConfig is what both sides share. Tickets and 0-RTT stay off, so that control messages cannot be
// replayed.
func baseConfig(idleTimeout time.Duration) *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		MaxIdleTimeout:                 idleTimeout,
		InitialStreamReceiveWindow:     InitialStreamWindow,
		MaxStreamReceiveWindow:         MaxStreamWindow,
		InitialConnectionReceiveWindow: connectionWindow,
		MaxConnectionReceiveWindow:     connectionWindow,
		MaxIncomingUniStreams:          maxStripes + datagramStreams,
		// A reset then delivers what was written before it, as TCP does.
		EnableStreamResetPartialDelivery: true,
		EnableDatagrams:                  true, // before anybody knows whether there are flows
	}
}

// Server allows one stream from the node, the control stream, since the server opens relays.
func Server(idleTimeout time.Duration) *quic.Config {
	c := baseConfig(idleTimeout)
	c.HandshakeIdleTimeout = serverHandshakeTimeout
	c.MaxIncomingStreams = 1
	return c
}

// Node has QUIC's own keepalive only as a safety net; the Keepalive message does the work. It comes
// after half of the shorter idle timeout of both sides, later than any learned Keepalive.
func Node(idleTimeout, handshakeTimeout time.Duration, ipv6 bool) *quic.Config {
	c := baseConfig(idleTimeout)
	c.HandshakeIdleTimeout = handshakeTimeout
	c.KeepAlivePeriod = idleTimeout / 2
	c.MaxIncomingStreams = MaxRelays
	c.DisablePathMTUDiscovery = true
	c.InitialPacketSize = nodePacketSizeIPv4
	if ipv6 {
		c.InitialPacketSize = nodePacketSizeIPv6
	}
	return c
}
