package node

import (
	"context"
	"crypto/ed25519"
	"errors"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/knock"
	"apquic/quicproxy/node/internal/dial"
)

// Welcome is what a server says when it admits a node.
type Welcome struct {
	// Server is the id that it proved, Next the one that it will have later; zero: none is announced.
	Server, Next certs.NodeID
	// Name is what the server's operator calls the node; may be empty.
	Name string
	// Joined says that the join secret has just admitted the node.
	Joined bool
}

// Join connects to the server once, which admits the node if it may, and returns what the server said. It
// exposes no services. If another process with the key of this node is connected, that keeps its connection
// and Join fails.
func (n *Node) Join(ctx context.Context) (Welcome, error) {
	return n.visit(ctx, func(*link) error { return nil })
}

// Leave gives up all leases of the node: over the connection of one that runs and offers nothing, or else over one as
// Join's. A lease that the server still takes for served, since that ended just now, is an error: ask again.
func (n *Node) Leave(ctx context.Context) error {
	ask := func(l *link) error {
		return l.Control.Request(ctx, framing.OpRelease, new(framing.Release), framing.OpReleased, new(framing.Released))
	}
	n.mu.Lock()
	l, runs := n.link, n.running != nil
	n.mu.Unlock()
	switch {
	case !runs:
		_, err := n.visit(ctx, ask)
		return err
	case l == nil:
		return errors.New("there is no connection to the server")
	}
	if err := ask(l); err != nil {
		return conn.Explain(err, n.peerName())
	}
	return nil
}

// visit connects once, to ask for something.
func (n *Node) visit(ctx context.Context, ask func(*link) error) (Welcome, error) {
	n.setStandby(true)
	l, err := n.connect(ctx, ctx, dial.HandshakeTimeout, false)
	if err != nil {
		return Welcome{}, conn.Explain(err, n.peerName())
	}
	if err = ask(l); err != nil {
		err = conn.Explain(err, n.peerName())
	}
	l.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorShutdown), "the node has what it asked for")
	l.work.Wait()
	l.association.Leave(&l.Carrier)
	n.flows.Leave(l.Flows)
	l.Working.Wait()
	n.memory.Forget(&l.Conn)
	n.associate(0)
	l.closeSocket()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.welcome, err
}

// servers returns the ids that the server may prove.
func (n *Node) servers() []certs.NodeID {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next.IsZero() {
		return []certs.NodeID{n.server}
	}
	return []certs.NodeID{n.server, n.next}
}

// welcomed notes what the server says on a connection that is to be primary.
func (n *Node) welcomed(l *link, message *framing.Welcome) error {
	server, err := certs.PeerID(l.QUIC.ConnectionState().TLS)
	if err != nil {
		return err
	}
	welcome := Welcome{Server: server, Name: hint.Printable(message.Name, conn.MaxText), Joined: message.Joined}
	if message.Successor != nil {
		if welcome.Next, err = framing.OpenSuccessor(ed25519.PublicKey(server[:]), message.Successor); err != nil {
			return &framing.ProtocolError{Code: framing.ErrorBadSignature, Text: err.Error()}
		}
	}
	n.mu.Lock()
	followed, announced := server != n.server, welcome.Next != n.next && !welcome.Next.IsZero()
	n.server, n.next = server, welcome.Next
	n.standby, n.known, n.secret = false, true, nil // the secret is no longer needed
	n.welcome = welcome
	n.mu.Unlock()
	n.config.OnWelcome(welcome)
	if followed {
		n.log.Info("the server has the new key that it had announced", "id", server.String())
	}
	if announced {
		n.log.Info("the server will have a new key; the node will follow", "id", welcome.Next.String())
	}
	return nil
}

// knocker knocks at the server of this node, even if that already has its next key.
func (n *Node) knocker() *knock.Knocker { return knock.NewKnocker(n.config.Source, n.servers()...) }
