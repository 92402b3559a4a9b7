package strangers

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/internal/udp"
	"apquic/quicproxy/internal/quicconfig"
)

// ListenConfig says how a server listens for nodes; Socket and TLS are required.
type ListenConfig struct {
	Socket      net.PacketConn
	TLS         *tls.Config
	IdleTimeout time.Duration
	// ResetKey and TokenKey are those of quic.Transport; random by default.
	ResetKey, TokenKey [32]byte
	// Received is called with the size of each datagram that QUIC gets.
	Received func(bytes int)
	// KnownBy are the ids of which a client must know one to be answered; none: anybody is answered.
	KnownBy []certs.NodeID
}

// Listen opens the QUIC listener for nodes, with the strangers in front of it. Its transport must be closed.
func (s *Strangers) Listen(config ListenConfig) (*quic.Transport, *quic.EarlyListener, error) {
	socket := config.Socket
	if runtime.GOOS == "linux" { // elsewhere QUIC answers from the right address only with the socket itself
		conn, err := udp.Open(func() (net.PacketConn, error) { return config.Socket, nil })
		if err != nil {
			return nil, nil, err
		}
		socket = conn.PacketConn()
	}
	transport := &quic.Transport{
		Conn:                             s.Around(socket, config.Received, config.KnownBy...),
		ConnectionIDLength:               quicconfig.ServerConnectionIDLength,
		DisableVersionNegotiationPackets: true,
		VerifySourceAddress:              s.NeedsRetry,
		ConnContext:                      s.Begin,
	}
	if config.ResetKey != [32]byte{} {
		transport.StatelessResetKey = (*quic.StatelessResetKey)(&config.ResetKey)
	}
	if config.TokenKey != [32]byte{} {
		transport.TokenGeneratorKey = (*quic.TokenGeneratorKey)(&config.TokenKey)
	}
	settings := quicconfig.Server(config.IdleTimeout)
	settings.GetConfigForClient = s.Config(settings.Clone())
	listener, err := transport.ListenEarly(config.TLS, settings) // early, so that a handshake can make room for others
	if err != nil {
		transport.Close()
		return nil, nil, fmt.Errorf("listening for nodes: %w", err)
	}
	return transport, listener, nil
}
