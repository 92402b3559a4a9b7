package server

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/account"
	"apquic/quicproxy/server/internal/begun"
	"apquic/quicproxy/server/internal/public"
	"apquic/quicproxy/server/internal/stage"
	"apquic/quicproxy/server/internal/whereabouts"
)

// nodeConn is one QUIC connection of a node, as the server sees it.
type nodeConn struct {
	carrier.Conn
	server      *Server
	node        certs.NodeID
	instance    uint64
	connects    bool   // only to private services of others
	wish        string // what the node would like to be called
	version     string
	features    framing.Features // that both sides have
	since       time.Time
	log         *slog.Logger
	session     *session
	admission   admission.Admission      // what the operator lets it do
	account     *account.Account         // of the node, once admitted
	association *association.Association // nil: relays end with their connection
	process     *process                 // that it belongs to; nil: none
	begun       begun.Relays             // relays that began on this connection
	silent      atomic.Bool              // the node does not acknowledge what it is sent
	suspect     atomic.Bool              // it is silent for so long that other connections are better
	silence     path.SilenceMeter        // only watchSilence uses this,
	woken       time.Time                // and this: when the node was last woken
	where       whereabouts.Whereabouts
	requests    wait.Queue[framing.Envelope] // those that need the lease store
	turn        uint64                       // its number among the session's primary connections; guarded by registry.mu
	carried     int                          // relays, including those about to begin; guarded by registry.mu
	orphaned    time.Time                    // since when the lane has had no process; zero: it has one; guarded by registry.mu
	stage       stage.Progress               // becomes Replaced or Retiring with session.leases held, or c could get a lease afterwards

	meter    path.LossMeter // only watchLoss uses it
	unknowns *rate.Limiter  // of flows that the node is told to be unknown

	// Guarded by session.leases.
	services  map[string]*public.Listener
	successor *nodeConn // the newer connection that is primary; nil: none is
}

// serveNode owns a connection from its handshake to its end.
func (s *Server) serveNode(connection *quic.Conn) {
	s.strange.Greet(connection)
	c, err := s.admit(connection)
	s.strange.Leave(connection)
	if err != nil {
		s.log.Debug("connection refused", "from", connection.RemoteAddr(), "err", err)
		conn.Close(connection, err)
		return
	}
	defer s.accounts.Close(c.account)
	if c.features.Has(framing.FeatureFlows) && !c.Lane {
		c.CarryFlows(c.account.Memory, &s.datagrams, c.handleDatagram)
	}
	c.Conn.Begin(c.association, s.memory, c.account.Memory)
	c.association.Join(&c.Carrier)
	c.stage.Become(stage.Primary)
	s.registry.tidy(c.session)
	err = c.Control.Serve(c.handle)
	conn.Close(connection, err)
	s.probes.End(c.QUIC)
	if !c.Lane && conn.IsShutdown(err) {
		c.association.PeerStops()
	}
	c.association.Leave(&c.Carrier)
	c.requests.Close()
	c.Working.Wait()
	c.Control.End()
	s.memory.Forget(&c.Conn)
	s.leave(c)
	c.log.Log(context.Background(), c.level(), "node disconnected", "reason", conn.Explain(err, "the node").Error(), "after", time.Since(c.since).Round(time.Second))
}

// level is that of lines about the beginning and the end of c: lanes are numerous.
func (c *nodeConn) level() slog.Level {
	if c.Lane {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// unknownRate is how often a second a node is told that it has a flow that is not here.
const unknownRate = 10

// FlowSender implements public.Target.
func (c *nodeConn) FlowSender() (via *flow.Sender, process uint64) { return c.Flows, c.instance }

// handleDatagram takes a datagram of the node.
func (c *nodeConn) handleDatagram(d framing.Datagram) {
	if !c.server.public.Receive(c.node, c.instance, d) && c.unknowns.Allow() {
		c.Flows.Send("", framing.Datagram{Flow: d.Flow, Kind: framing.DatagramUnknown})
	}
}
