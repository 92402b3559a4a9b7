package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/hello"
	"apquic/quicproxy/server/internal/public"
)

// admit reads the Hello of a new connection and answers it.
func (s *Server) admit(connection *quic.Conn) (*nodeConn, error) {
	deadline := time.Now().Add(conn.HelloTimeout)
	ctx, cancel := context.WithDeadline(connection.Context(), deadline)
	defer cancel()
	control, err := s.acceptControl(ctx, connection)
	if err != nil {
		return nil, err
	}
	envelope, said, err := hello.Read(control, deadline)
	if err != nil {
		return nil, err
	}
	s.strange.Read(connection)
	node, _ := certs.PeerID(connection.ConnectionState().TLS) // NewControlStream has checked it
	c := &nodeConn{
		Conn:   carrier.Conn{QUIC: connection, Control: control, Carrier: association.Carrier{Lane: said.Lane}},
		server: s, node: node, since: time.Now(),
		instance: said.Instance, connects: said.Connects && !said.Lane, wish: said.Name, version: hint.Printable(said.Version, conn.MaxText),
		features: carrier.Features(s.config.ResumeTime) & framing.NewFeatures(said.Features),
		log:      s.log.With("node", node, "from", connection.RemoteAddr().String()),
		services: make(map[string]*public.Listener), unknowns: rate.NewLimiter(unknownRate, unknownRate),
	}
	c.where.Look(netaddr.Endpoint(connection.RemoteAddr()), c.since)
	envelope, err = s.letIn(ctx, c, envelope, said, deadline)
	if err != nil {
		if c.account != nil {
			s.accounts.Close(c.account)
		}
		if envelope.RequestNonce != 0 {
			hello.Refuse(control, envelope, connection, err, farewell)
		}
		return nil, err
	}
	s.strange.Admitted(connection)
	control.SlowDown = c.slowDown
	if err := s.welcome(ctx, c, envelope); err != nil {
		control.End()
		s.leave(c)
		s.accounts.Close(c.account)
		return nil, err
	}
	return c, nil
}

// acceptControl waits for the control stream.
func (s *Server) acceptControl(ctx context.Context, connection *quic.Conn) (*conn.ControlStream, error) {
	select {
	case <-connection.HandshakeComplete():
		s.strange.Secured(connection)
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the end of the handshake: %w", context.Cause(ctx))
	}
	stream, err := connection.AcceptStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("waiting for the control stream: %w", err)
	}
	return conn.NewControlStream(connection, stream, s.config.Key, framing.RoleServer, s.config.NetID, s.config.IdleTimeout)
}

// letIn lets c into the session of its node, after a second Hello with the join secret if the node needs one.
// It returns the Hello to answer, or its zero value if that was answered already.
func (s *Server) letIn(ctx context.Context, c *nodeConn, envelope framing.Envelope, said *framing.Hello, deadline time.Time) (framing.Envelope, error) {
	before := s.admissionRevision(ctx)
	err := s.authorize(ctx, c, said.JoinSecret)
	if errors.Is(err, admission.ErrNotAuthorized) && len(said.JoinSecret) == 0 {
		c.Control.Reply(envelope, framing.OpFailure, failure.Message(failure.NotAuthorized(c.node, err)))
		second, again, silence := hello.Read(c.Control, deadline)
		if silence != nil {
			return framing.Envelope{}, failure.Stranger(c.log, c.node, c.QUIC.Context().Err() != nil, err)
		}
		envelope = second
		err = s.authorize(ctx, c, again.JoinSecret)
	}
	if err != nil {
		return envelope, failure.Stranger(c.log, c.node, c.QUIC.Context().Err() != nil, err)
	}
	c.account = s.accounts.Open(c.node)
	if err := s.enter(c, said.Standby); err != nil {
		return envelope, err
	}
	if s.sentAwaySince(ctx, c, before) {
		s.leave(c)
		return envelope, failure.NotAuthorized(c.node, admission.ErrNotAuthorized)
	}
	return envelope, nil
}

// welcome answers the Hello of an admitted node.
func (s *Server) welcome(ctx context.Context, c *nodeConn, envelope framing.Envelope) error {
	attributes := []any{"id", c.node.String(), "version", c.version} // other lines have only part of the id
	lanes := uint32(carrier.MaxLanes)
	if c.Lane {
		attributes = append(attributes, "lane", true)
	}
	if c.connects {
		attributes, lanes = append(attributes, "connects", true), 0
	}
	if c.admission.Joined {
		attributes = append(attributes, "joined", true)
	}
	c.log.Log(ctx, c.level(), "node connected", attributes...)
	if c.admission.Joined {
		c.audit("join", "id", c.node.String())
	}
	return c.Control.Reply(envelope, framing.OpWelcome, &framing.Welcome{
		Version: s.config.Version, ObservedAddress: c.QUIC.RemoteAddr().String(), Joined: c.admission.Joined, Name: c.admission.Name,
		MaxLanes: lanes, Instance: s.instance, IdleTimeoutMilliseconds: uint64(s.config.IdleTimeout / time.Millisecond),
		Successor: s.successor, Features: carrier.Features(s.config.ResumeTime).Numbers(), Limits: c.limits(),
		Domain: s.config.Domain, EndsTls: s.config.Domain != "" && s.config.Terminator != nil && s.config.Terminator.Check("name."+s.config.Domain) == nil,
	})
}
