package quicproxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy/internal/relay"
)

// admit reads the Hello of a new connection and answers it.
func (s *Server) admit(conn *quic.Conn) (*nodeConn, error) {
	deadline := time.Now().Add(helloTimeout)
	ctx, cancel := context.WithDeadline(conn.Context(), deadline)
	defer cancel()
	control, err := s.acceptControl(ctx, conn)
	if err != nil {
		return nil, err
	}
	envelope, hello, err := readHello(control, deadline)
	if err != nil {
		return nil, err
	}
	handshakeOf(conn).Read()
	node, _ := certs.PeerID(conn.ConnectionState().TLS) // newControlStream had it, too
	c := &nodeConn{
		carrier: carrier{quic: conn, control: control, Carrier: relay.Carrier{Lane: hello.Lane}},
		server:  s, node: node, since: time.Now(),
		instance: hello.Instance, version: hint.Printable(hello.Version, maxText),
		features: ownFeatures(s.config.ResumeTime) & framing.NewFeatures(hello.Features),
		log:      s.log.With("node", node, "from", conn.RemoteAddr().String()),
		services: make(map[string]*publicListener),
	}
	envelope, err = s.letIn(ctx, c, envelope, hello, deadline)
	if err != nil {
		if c.account != nil {
			s.closeAccount(c.account)
		}
		if envelope.RequestNonce != 0 {
			refuse(control, envelope, conn, err)
		}
		return nil, err
	}
	s.strange.admitted(conn)
	control.slowDown = c.slowDown
	if err := s.welcome(ctx, c, envelope); err != nil {
		control.end()
		s.leave(c)
		s.closeAccount(c.account)
		return nil, err
	}
	return c, nil
}

// acceptControl waits for the control stream.
func (s *Server) acceptControl(ctx context.Context, conn *quic.Conn) (*controlStream, error) {
	select {
	case <-conn.HandshakeComplete():
		s.strange.secured(conn)
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the end of the handshake: %w", context.Cause(ctx))
	}
	stream, err := conn.AcceptStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("waiting for the control stream: %w", err)
	}
	return newControlStream(conn, stream, s.config.Key, framing.RoleServer, s.config.NetID, s.config.IdleTimeout)
}

// letIn lets c into the session of its node, after a second Hello with the join secret if the node needs it. It returns
// the Hello to answer; its zero value if that was done.
func (s *Server) letIn(ctx context.Context, c *nodeConn, envelope framing.Envelope, hello *framing.Hello, deadline time.Time) (framing.Envelope, error) {
	before := s.admissionRevision(ctx)
	err := s.authorize(ctx, c, hello.JoinSecret)
	if errors.Is(err, ErrNotAuthorized) && len(hello.JoinSecret) == 0 {
		c.control.reply(envelope, framing.OpFailure, failureMessage(notAuthorized(c.node, err)))
		second, again, silence := readHello(c.control, deadline)
		if silence != nil {
			return framing.Envelope{}, s.stranger(c, err)
		}
		envelope = second
		err = s.authorize(ctx, c, again.JoinSecret)
	}
	if err != nil {
		return envelope, s.stranger(c, err)
	}
	c.account = s.openAccount(c.node)
	if err := s.enter(c, hello.Standby); err != nil {
		return envelope, err
	}
	if s.sentAwaySince(ctx, c, before) {
		s.leave(c)
		return envelope, notAuthorized(c.node, ErrNotAuthorized)
	}
	return envelope, nil
}

// welcome answers the Hello of a node that was let in.
func (s *Server) welcome(ctx context.Context, c *nodeConn, envelope framing.Envelope) error {
	attributes := []any{"id", c.node.String(), "version", c.version} // other lines have a part of the id
	if c.Lane {
		attributes = append(attributes, "lane", true)
	}
	if c.admission.Joined {
		attributes = append(attributes, "joined", true)
	}
	c.log.Log(ctx, c.level(), "node connected", attributes...)
	if c.admission.Joined {
		c.audit("join", "id", c.node.String())
	}
	return c.control.reply(envelope, framing.OpWelcome, &framing.Welcome{
		Version: s.config.Version, ObservedAddress: c.quic.RemoteAddr().String(), Joined: c.admission.Joined, Name: c.admission.Name,
		MaxLanes: maxLanes, Instance: s.instance, IdleTimeoutMilliseconds: uint64(s.config.IdleTimeout / time.Millisecond),
		Successor: s.successor, Features: ownFeatures(s.config.ResumeTime).Numbers(), Limits: c.limits(),
	})
}

// readHello reads the next message, which must be Hello.
func readHello(control *controlStream, deadline time.Time) (envelope framing.Envelope, hello *framing.Hello, err error) {
	if envelope, err = control.read(max(time.Until(deadline), time.Nanosecond)); err != nil {
		return envelope, nil, fmt.Errorf("waiting for Hello: %w", err)
	}
	if envelope.Opcode != framing.OpHello || envelope.Reply || envelope.RequestNonce == 0 {
		return envelope, nil, unexpected(envelope)
	}
	hello = new(framing.Hello)
	return envelope, hello, envelope.Decode(hello)
}

// refuse says why, and gives the node the time to read it: closing a connection drops what it carries.
func refuse(control *controlStream, to framing.Envelope, conn *quic.Conn, err error) {
	control.reply(to, framing.OpFailure, failureMessage(err))
	select {
	case <-conn.Context().Done():
	case <-time.After(farewell):
	}
}
