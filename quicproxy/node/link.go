package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/udp"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/dial"
	"apquic/quicproxy/node/internal/naming"
	"apquic/quicproxy/node/internal/reason"
	"apquic/quicproxy/node/internal/watch"
)

var errSuspect = errors.New("the server does not answer")

// link is one connection of a node to its server, as the node sees it.
type link struct {
	carrier.Conn
	node        *Node
	socket      *udp.Conn
	transport   *quic.Transport
	since       time.Time
	retired     chan struct{}    // has room for one: the lane is no longer needed
	maxLanes    uint32           // as many as the server allows
	features    framing.Features // that both sides have
	names       naming.Server
	work        sync.WaitGroup           // goroutines that serve the connection
	welcomed    chan struct{}            // closed when association is set
	association *association.Association // nil: relays end with their connection
	keepalives  *keepalive.Schedule

	path  *watch.Path
	swaps atomic.Uint64 // how often the socket was swapped
	wake  chan struct{} // has room for one: the node's services changed
	// registered are the services that the server has a lease for, by name. Only register changes it, with Node.mu.
	registered map[string]*exposed
	requests   *framing.Limits // of the server
	replaced   chan error      // has room for one: the server has a newer connection of this node
	draining   bool            // the server stops; only handle uses it
	restarts   atomic.Bool     // and is back at once

	ended chan struct{} // closed at the end of run
	err   error         // why it ended; set before ended is closed
}

// connect dials the server while attempt lasts, for at most twice the timeout, and says Hello to it. From
// then on the server may regard this connection as the one in use, so only ctx ends the wait for the answer.
func (n *Node) connect(ctx, attempt context.Context, handshakeTimeout time.Duration, lane bool) (*link, error) {
	socket, err := udp.Open(n.config.ListenPacket)
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	socket.KeepLast()
	l := &link{
		Conn: carrier.Conn{Carrier: association.Carrier{Lane: lane}},
		node: n, socket: socket, since: time.Now(), welcomed: make(chan struct{}),
		transport: &quic.Transport{Conn: n.knocker().Around(socket.PacketConn()), ConnectionIDLength: quicconfig.NodeConnectionIDLength},
		wake:      make(chan struct{}, 1),
		path:      watch.NewPath(),
		ended:     make(chan struct{}), registered: make(map[string]*exposed),
		replaced: make(chan error, 1),
		retired:  make(chan struct{}, 1),
	}
	tlsConfig, err := certs.NodeTLS(n.config.Key, n.servers()...)
	if err == nil {
		l.QUIC, err = dial.New(n.config.Address, n.config.Resolve, n.config.IdleTimeout).Dial(attempt, l.transport, tlsConfig, handshakeTimeout)
	}
	if err != nil {
		l.closeSocket()
		return nil, err
	}
	if err := l.hello(ctx); err != nil {
		conn.Close(l.QUIC, err)
		l.work.Wait()
		l.closeSocket()
		return nil, err
	}
	return l, nil
}

func (l *link) closeSocket() {
	l.transport.Close()
	l.socket.Close()
}

// hello opens the control stream, starts serving it, and introduces the node. Only the answer shows that the
// server accepted our certificate: in TLS 1.3 the client's handshake ends before the server has seen it.
func (l *link) hello(ctx context.Context) error {
	n := l.node
	stream, err := l.QUIC.OpenStream()
	if err != nil {
		return err
	}
	l.Control, err = conn.NewControlStream(l.QUIC, stream, n.config.Key, framing.RoleNode, n.config.NetID, n.config.IdleTimeout)
	if err != nil {
		return err
	}
	l.Control.SlowDown = l.node.costs.SlowDown
	l.work.Go(func() { dial.Bound(l.QUIC, l.welcomed) })
	l.work.Go(func() {
		err := l.Control.Serve(l.handle)
		l.err = err
		conn.Close(l.QUIC, err)
	})
	ctx, cancel := context.WithTimeout(ctx, conn.HelloTimeout)
	defer cancel()
	welcome, err := l.introduce(ctx)
	if err != nil {
		return err
	}
	if !l.Lane {
		if err := n.welcomed(l, welcome); err != nil {
			return err
		}
	}
	l.features = carrier.Features(n.config.ResumeTime) & framing.NewFeatures(welcome.Features)
	l.names = naming.Server{Domain: welcome.Domain, EndsTLS: welcome.EndsTls}
	if l.features.Has(framing.FeatureLanes) {
		l.maxLanes = min(welcome.MaxLanes, carrier.MaxLanes)
	}
	l.carryFlows(welcome.Instance)
	if !l.features.Has(framing.FeatureMovingRelays) {
		welcome.Instance = 0
	}
	l.association = n.associate(welcome.Instance)
	l.OnLeft = func() { wait.Signal(l.path.Woken) } // the path may be gone
	l.Begin(l.association, n.memory, n.memory.Peer)
	l.association.Join(&l.Carrier)
	close(l.welcomed)
	l.keepalives = l.scheduleKeepalives(welcome)
	n.log.Debug("welcome", "server_version", hint.Printable(welcome.Version, conn.MaxText), "observed_address", hint.Printable(welcome.ObservedAddress, conn.MaxText),
		"joined", welcome.Joined, "features", l.features, "limits", welcome.Limits)
	l.requests = welcome.Limits
	n.heedLimits(welcome.Limits)
	return nil
}

// introduce says Hello, and repeats it with the join secret if the server does not know the node. The secret
// is only for the id that the invitation named: an id that was merely announced may have been withdrawn
// since, because its key was stolen.
func (l *link) introduce(ctx context.Context) (*framing.Welcome, error) {
	n := l.node
	n.mu.Lock()
	standby, known, secret, invited := n.standby, n.known, n.secret, n.server
	n.mu.Unlock()
	hello := &framing.Hello{
		Instance: n.instance, Version: n.config.Version, Standby: standby || n.config.Connects, Lane: l.Lane, Connects: n.config.Connects, Name: n.config.Name,
		Features: carrier.Features(n.config.ResumeTime).Numbers(),
	}
	welcome := new(framing.Welcome)
	err := l.Control.Request(ctx, framing.OpHello, hello, framing.OpWelcome, welcome)
	if !reason.IsNotAuthorized(err) || l.Lane {
		return welcome, err
	}
	if len(secret) == 0 {
		return nil, reason.WithoutSecret(err, known)
	}
	if proved, err := certs.PeerID(l.QUIC.ConnectionState().TLS); err != nil || proved != invited {
		return nil, errors.Join(err, reason.NotForSuccessor(proved))
	}
	hello.JoinSecret = secret
	err = l.Control.Request(ctx, framing.OpHello, hello, framing.OpWelcome, welcome)
	return welcome, err
}

// run serves the connection until it ends. When ctx ends, running relays may finish first.
func (l *link) run(ctx context.Context) {
	defer close(l.ended)
	alive := l.QUIC.Context()
	if !l.Lane {
		l.work.Go(func() { l.register(alive) })
	}
	l.work.Go(func() { l.watchPath(alive) })
	l.work.Go(func() { watch.Wakes(alive, l.transport.ReadNonQUICPacket, l.path.Woken) })
	if l.keepalives.Learns() && !l.Lane && l.features.Has(framing.FeatureProbes) {
		l.work.Go(func() { l.learn(alive) })
	}
	l.work.Go(func() { l.acceptStreams(alive) })
	select {
	case <-ctx.Done():
		defer context.AfterFunc(l.node.config.StopNow, func() {
			l.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorShutdown), "the node was stopped")
		})()
		l.Finish(l.node.config.Drain, framing.DrainStopped, "the node was stopped")
	case <-l.retired:
		// A relay may just have begun. It may finish, unless the node stops.
		stop := context.AfterFunc(ctx, func() {
			l.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorShutdown), "the node was stopped")
		})
		l.Finish(carrier.LongRelay, framing.DrainLaneIdle, "the lane is idle")
		stop()
	case <-alive.Done():
	}
	l.work.Wait()
	if !l.Lane && conn.IsShutdown(l.err) {
		l.association.PeerStops()
	}
	l.association.Leave(&l.Carrier)
	l.node.flows.Leave(l.Flows)
	l.Working.Wait()
	l.Control.End()
	l.node.memory.Forget(&l.Conn)
	l.closeSocket()
}

// watch waits until the connection ends, is suspect or is replaced, and returns why. If ctx ends, it waits
// for run and returns nil.
func (l *link) watch(ctx context.Context) error {
	select {
	case <-l.ended:
		if ctx.Err() != nil {
			return nil
		}
		return l.err
	case <-l.path.Suspected:
		return errSuspect
	case err := <-l.replaced:
		return err
	case <-ctx.Done():
		carrier.LogWaiting(l.node.log, l.node.config.Drain, l.relaysNow())
		<-l.ended
		return nil
	}
}

// relaysNow returns how many relays run over this connection and its lanes.
func (l *link) relaysNow() (n int) {
	if l.association == nil {
		return l.Relays.Len()
	}
	for _, c := range l.association.Live() {
		n += c.Relays.Len()
	}
	return n
}

// handle takes a message of the server. An error ends the connection.
func (l *link) handle(envelope framing.Envelope) error {
	switch envelope.Opcode {
	case framing.OpProgress:
		if !l.Control.Greeted {
			return conn.Unexpected(envelope) // the server cannot know yet what it is about
		}
		select { // the Welcome has come, but is not handled yet
		case <-l.welcomed:
			return l.HandleProgress(l.association, envelope)
		case <-l.QUIC.Context().Done():
			return nil
		}
	case framing.OpReplaced:
		return l.handleReplaced(envelope)
	case framing.OpLanes:
		wait.Signal(l.node.lanes.wanted)
		return nil
	case framing.OpDrain:
		if l.draining {
			return conn.Unexpected(envelope)
		}
		var message framing.Drain
		if err := envelope.Decode(&message); err != nil {
			return err
		}
		l.draining = true
		l.restarts.Store(framing.DrainCode(message.Code) == framing.DrainRestarting)
		l.node.log.Info("the server is stopping", "reason", framing.DrainCode(message.Code), "relays", l.Relays.Len())
		l.work.Go(func() {
			l.Relays.CloseWhenIdle(l.QUIC.Context())
			l.Control.Reply(envelope, framing.OpDrained, &framing.Drained{})
		})
		return nil
	}
	if envelope.RequestNonce == 0 {
		return nil // a message that this version does not know
	}
	return l.Control.Reply(envelope, framing.OpFailure, &framing.Failure{
		Code: uint64(framing.ErrorUnknownOpcode),
		Text: fmt.Sprintf("this node does not know the message %v", envelope.Opcode),
	})
}

// handleReplaced handles that a newer connection is primary. If that is not ours, another process has our
// key, and this one stands by from now on: otherwise the two would replace each other for ever.
func (l *link) handleReplaced(envelope framing.Envelope) error {
	var message framing.Replaced
	if err := envelope.Decode(&message); err != nil {
		return err
	}
	if message.Instance != l.node.instance {
		l.node.setStandby(true)
	}
	select { // only matters if this is still the connection in use
	case l.replaced <- reason.Replaced(message.Instance == l.node.instance, message.Address):
	default:
	}
	return nil
}

// wakeUp makes register compare the services again.
func (l *link) wakeUp() { wait.Signal(l.wake) }
