package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// Opcodes of section 5.
const (
	opKeepalive, opKeepaliveResponse, opProxyResponse, opProxyRequest        = 2, 3, 9, 15
	opFailure, opDrain, opHello, opWelcome, opReplaced, opDrained     uint32 = 1000, 1003, 1004, 1005, 1006, 1007
)

// failure is one of section 5.1.
type failure struct {
	code       uint64
	text       string
	retryAfter time.Duration
}

func (f *failure) Error() string { return f.text }

func readFailure(body []byte) error {
	f, ok := parse(body)
	text, err := f.text(2)
	if !ok || err != nil {
		return &protoError{malformed, "a Failure that cannot be decoded"}
	}
	return &failure{f.numbers[1], text, time.Duration(min(f.numbers[4], 600_000)) * time.Millisecond}
}

func retryAfter(err error) time.Duration {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.retryAfter
	}
	return 0
}

// session is one connection. Its loop is the only one that writes to the control stream.
type session struct {
	node     *node
	conn     *quic.Conn
	control  *quic.Stream
	exporter []byte
	sent     uint64 // message_nonce of the last message
	asked    uint64 // request_nonce of the last request
	work     sync.WaitGroup
	relays   atomic.Int64

	leases  map[uint64]service    // requested, by request_nonce
	refused map[service]time.Time // when to ask again
}

// connect serves one connection until it ends, and returns why it did.
func (n *node) connect(ctx context.Context) error {
	address, err := net.ResolveUDPAddr("udp", n.address)
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	defer socket.Close()
	transport := &quic.Transport{Conn: &knockingConn{socket, n.server}, ConnectionIDLength: 4}
	defer transport.Close()
	config, err := n.tls()
	if err != nil {
		return err
	}
	conn, err := transport.Dial(ctx, address, config, &quic.Config{
		Versions: []quic.Version{quic.Version1}, MaxIdleTimeout: 90 * time.Second, DisablePathMTUDiscovery: true, InitialPacketSize: 1232,
		MaxIncomingStreams: 65536, MaxIncomingUniStreams: -1,
		InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 4 << 20,
		InitialConnectionReceiveWindow: 1 << 40, MaxConnectionReceiveWindow: 1 << 40,
	})
	if err != nil {
		return err
	}
	s := &session{node: n, conn: conn, leases: map[uint64]service{}, refused: map[service]time.Time{}}
	err = s.run(ctx)
	code, text := quic.ApplicationErrorCode(shutdown), "the node was stopped"
	if bad, ok := errors.AsType[*protoError](err); ok {
		code, text = quic.ApplicationErrorCode(bad.code), bad.text
	}
	conn.CloseWithError(code, text)
	s.work.Wait()
	if end, ok := errors.AsType[*quic.ApplicationError](err); ok && end.Remote && end.ErrorCode == replacedCode {
		n.standby = true
	}
	return err
}

// tls is section 2.1: one certificate for the node's key, and a server with the invitation's key.
func (n *node) tls() (*tls.Config, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(100, 0, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, n.key.Public(), n.key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"apquic/1"}, SessionTicketsDisabled: true,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: n.key}},
		InsecureSkipVerify: true, // only the key matters, names and dates do not
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) != 1 || state.NegotiatedProtocol != "apquic/1" {
				return errors.New("this is not an apquic server")
			}
			server := state.PeerCertificates[0]
			key, ok := server.PublicKey.(ed25519.PublicKey)
			if !ok || string(key) != string(n.server) {
				return errors.New("this is another server")
			}
			return server.CheckSignature(x509.PureEd25519, server.RawTBSCertificate, server.Signature)
		},
	}, nil
}

func (s *session) run(ctx context.Context) (err error) {
	state := s.conn.ConnectionState().TLS
	if s.exporter, err = state.ExportKeyingMaterial("EXPORTER-apquic/1", nil, 32); err != nil {
		return err
	}
	if s.control, err = s.conn.OpenStream(); err != nil {
		return err
	}
	messages, ended := make(chan message), make(chan error, 1)
	go func() { ended <- s.read(messages) }()
	if err := s.hello(ctx, messages, ended); err != nil {
		return err
	}
	for _, service := range s.node.services {
		if err := s.ask(service); err != nil {
			return err
		}
	}
	s.work.Go(s.accept)
	var drain *message // the server is stopping and waits for the last relay to end
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for keepalive := 1; ; {
		select {
		case m := <-messages:
			if m.opcode == opDrain && m.request != 0 && !m.reply {
				drain = &m
			} else {
				err = s.handle(m)
			}
		case <-second.C:
			if drain != nil && s.relays.Load() == 0 {
				err = s.write(message{opDrained, drain.request, true, nil})
				drain = nil
			}
			if keepalive++; keepalive%15 == 0 && err == nil {
				err = s.request(opKeepalive, nil)
			}
			for service, at := range s.refused {
				if err == nil && time.Now().After(at) {
					delete(s.refused, service)
					err = s.ask(service)
				}
			}
		case <-ctx.Done():
			return ctx.Err()
		case err = <-ended:
		}
		if err != nil {
			return err
		}
	}
}

// hello says who the node is, and shows the secret if the server does not know it (section 5.2).
func (s *session) hello(ctx context.Context, messages <-chan message, ended <-chan error) error {
	n := s.node
	body := appendBytes(appendNumber(nil, 1, n.instance), 2, "minimalnode")
	if n.standby {
		body = appendNumber(body, 4, 1)
	}
	if err := s.request(opHello, body); err != nil {
		return err
	}
	for {
		select {
		case m := <-messages:
			if m.opcode == opWelcome && m.reply {
				n.standby, n.secret = false, nil
				return nil
			}
			if m.opcode != opFailure || !m.reply {
				return &protoError{unexpectedMessage, "neither Welcome nor Failure"}
			}
			err := readFailure(m.body)
			if f, ok := errors.AsType[*failure](err); !ok || f.code != notAuthorized || n.secret == nil || s.asked > 1 {
				return err
			}
			if err := s.request(opHello, appendBytes(body, 3, n.secret)); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("no answer to Hello")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handle handles a message from the server.
func (s *session) handle(m message) error {
	known := m.opcode == opProxyResponse || m.opcode == opFailure || m.opcode == opKeepaliveResponse
	switch {
	case m.reply && m.request > s.asked, m.reply && m.request == 0, known && !m.reply,
		m.opcode == opDrain, m.opcode == opReplaced && m.request != 0:
		return &protoError{unexpectedMessage, fmt.Sprintf("message %d may not come here", m.opcode)}
	case m.reply:
		return s.answered(m)
	case m.opcode == opReplaced:
		f, ok := parse(m.body)
		if !ok {
			return &protoError{malformed, "Replaced cannot be decoded"}
		}
		s.node.standby = s.node.standby || f.numbers[1] != s.node.instance
	case m.request != 0:
		return s.write(message{opFailure, m.request, true, appendBytes(appendNumber(nil, 1, unknownOpcode), 2, "unknown message")})
	}
	return nil
}

// answered handles the answer to a request for a lease; answers to Keepalive need nothing.
func (s *session) answered(m message) error {
	service, ok := s.leases[m.request]
	if !ok {
		return nil
	}
	delete(s.leases, m.request)
	if m.opcode == opFailure {
		err := readFailure(m.body)
		s.refused[service] = time.Now().Add(max(10*time.Second, retryAfter(err)))
		fmt.Fprintf(os.Stderr, "%s: %v\n", service.name, err)
		return nil
	}
	f, ok := parse(m.body)
	address, err := f.text(2)
	if !ok || err != nil || m.opcode != opProxyResponse {
		return &protoError{malformed, "ProxyResponse cannot be decoded"}
	}
	fmt.Println(service.name, address)
	return nil
}

func (s *session) ask(service service) error {
	s.leases[s.asked+1] = service
	return s.request(opProxyRequest, appendBytes(appendBytes(nil, 1, "tcp://"+service.upstream), 16, service.name))
}

func (s *session) request(opcode uint32, body []byte) error {
	s.asked++
	return s.write(message{opcode, s.asked, false, body})
}

func (s *session) write(m message) error {
	s.sent++
	_, err := s.control.Write(seal(s.node.key, s.exporter, m, s.sent))
	return err
}

// read passes on the server's messages until the control stream ends.
func (s *session) read(messages chan<- message) error {
	r := bufio.NewReader(s.control)
	for last := uint64(0); ; last++ {
		m, err := open(r, s.node.server, s.exporter, last)
		if errors.Is(err, io.EOF) {
			return &protoError{0, "the server ended the control stream"}
		}
		if err != nil {
			return err
		}
		select {
		case messages <- m:
		case <-s.conn.Context().Done():
			return context.Cause(s.conn.Context())
		}
	}
}
