package private

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/joint"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/node/internal/upstream"
)

const (
	// handshakeTimeout bounds a handshake, and maxHandshakes how many there are at once: the server, which is not
	// trusted, can begin as many as it likes.
	handshakeTimeout = 10 * time.Second
	maxHandshakes    = 64
	// upstreamTimeout bounds the dial of the service.
	upstreamTimeout = 10 * time.Second
)

// Config says what a Guard consists of; every field but Allow is required.
type Config struct {
	Service string
	Key     certs.PrivateKey
	// Allow are the nodes that may connect beside the own one: ids, or names that the server says.
	Allow []string
	// Known is asked whether a name means what it always meant.
	Known    func(name string, id certs.NodeID) error
	Upstream *upstream.Upstream
	Reached  func(error) // told of each dial of the upstream
	Log      *slog.Logger
}

// Guard is a private service of a node: it lets in whom the node's owner allows.
type Guard struct {
	config     Config
	tls        *tls.Config
	ids        []certs.NodeID
	names      []string
	handshakes limit.Count
}

// New makes a Guard.
func New(config Config) (*Guard, error) {
	g := &Guard{config: config, ids: []certs.NodeID{config.Key.ID()}}
	for _, node := range config.Allow {
		if id, err := certs.ParseNodeID(node); err == nil {
			g.ids = append(g.ids, id)
		} else if err := certs.CheckName(node); err != nil {
			return nil, fmt.Errorf("a node that may connect: %w", err)
		} else {
			g.names = append(g.names, node)
		}
	}
	if len(config.Allow) > framing.MaxAllowNodes {
		return nil, fmt.Errorf("%d nodes may connect, at most %d are possible", len(config.Allow), framing.MaxAllowNodes)
	}
	var err error
	g.tls, err = certs.ServiceTLS(config.Key, config.Service)
	return g, err
}

// Allowed are the nodes that the server is to let through, in the form of the protocol.
func (g *Guard) Allowed() []string {
	allowed := slices.Clone(g.names)
	for _, id := range g.ids[1:] {
		allowed = append(allowed, id.String())
	}
	return allowed
}

// Handle serves a stream until wait is called, which ends what is left of it.
func (g *Guard) Handle(stream Stream) (wait func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { g.serve(ctx, stream) })
	return func() {
		cancel()
		stream.Close()
		serving.Wait()
	}
}

// serve serves one stream, and leaves nothing open.
func (g *Guard) serve(ctx context.Context, stream Stream) {
	c, err := g.welcome(stream)
	if err != nil {
		g.config.Log.Debug("a connection to a private service failed", "service", g.config.Service, "client", stream.RemoteAddr(), "err", err)
		joint.Reset(stream)
		return
	}
	switch u := g.config.Upstream; {
	case u.Serves():
		g.serveHere(ctx, c)
	case u.Asks(): // the answer comes before the client's question
		if c.answer(framing.NoError) {
			g.connect(ctx, c, func(framing.ErrorCode) bool { return true })
		}
	default:
		g.connect(ctx, c, c.answer)
	}
	c.Close()
}

// welcome has the other node prove its key, and refuses it unless it may connect.
func (g *Guard) welcome(stream Stream) (*Conn, error) {
	if !g.handshakes.Take(maxHandshakes) {
		return nil, fmt.Errorf("there are %d handshakes already", maxHandshakes)
	}
	defer g.handshakes.Give()
	stream.SetDeadline(time.Now().Add(handshakeTimeout))
	under := &watched{Stream: stream}
	c := &Conn{Conn: tls.Server(under, g.tls), under: under}
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	id, err := certs.ServicePeer(c.ConnectionState(), g.config.Service)
	if err != nil {
		return nil, err
	}
	if err := g.admit(id, nodeName(stream)); err != nil {
		g.config.Log.Warn("a node was not let into a private service", "service", g.config.Service, "id", id.String(), "reason", err.Error(),
			"hint", cmp.Or(hint.Of(err), "if it is to be allowed, add its id to allowNodes of the service"))
		c.answer(framing.ErrorNoPrivateService)
		c.Close()
		return nil, err
	}
	stream.SetDeadline(time.Time{})
	g.config.Log.Info("a node connects to a private service", "service", g.config.Service, "id", id.String())
	return c, nil
}

// nodeName is what the server calls the other node; empty: nothing.
func nodeName(stream Stream) string {
	if named, ok := stream.(interface{ NodeName() string }); ok {
		return named.NodeName()
	}
	return ""
}

// admit returns why a node may not connect.
func (g *Guard) admit(id certs.NodeID, name string) error {
	switch {
	case slices.Contains(g.ids, id):
		return nil
	case slices.Contains(g.names, name):
		return g.config.Known(name, id)
	}
	return fmt.Errorf("it is not in allowNodes")
}

// answer tells the other node how it goes on.
func (c *Conn) answer(code framing.ErrorCode) bool {
	c.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	_, err := c.Write([]byte{byte(code)})
	c.SetWriteDeadline(time.Time{})
	return err == nil
}

// connect joins a connection with one to the upstream.
func (g *Guard) connect(ctx context.Context, c *Conn, answer func(framing.ErrorCode) bool) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	to, err := g.config.Upstream.Dial(ctx, upstream.Client{Address: c.RemoteAddr().String(), Stream: c})
	g.config.Reached(err)
	if err != nil {
		answer(upstream.Code(err))
		return
	}
	if !answer(framing.NoError) {
		joint.Reset(to)
		return
	}
	joint.Join(c, to)
}

// serveHere has the upstream answer by itself.
func (g *Guard) serveHere(ctx context.Context, c *Conn) {
	err := g.config.Upstream.Check(ctx)
	g.config.Reached(err)
	if err != nil {
		c.answer(upstream.Code(err))
		return
	}
	if c.answer(framing.NoError) {
		g.config.Upstream.Serve(c)
	}
}
