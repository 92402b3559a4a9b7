package quicproxy_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/conn"
)

// gate is an Admitter that notes what nodes present.
type gate struct {
	secret string

	mu    sync.Mutex
	known map[certs.NodeID]bool
	shown []string // by whoever asked to be let in
}

func newGate(secret string) *gate { return &gate{secret: secret, known: make(map[certs.NodeID]bool)} }

func (g *gate) Revision(context.Context) uint64 { return 0 }

func (g *gate) Admit(_ context.Context, a admission.Applicant) (admission.Admission, error) {
	node, secret := a.Node, a.JoinSecret
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.From.IsValid() { // else it is only looked at again
		g.shown = append(g.shown, string(secret))
	}
	switch {
	case g.known[node]:
		return admission.Admission{}, nil
	case len(secret) == 0:
		return admission.Admission{}, admission.ErrNotAuthorized
	case string(secret) != g.secret:
		return admission.Admission{}, fmt.Errorf("%w: %w", admission.ErrNotAuthorized, certs.ErrNoInvitation)
	}
	g.known[node] = true
	return admission.Admission{Joined: true}, nil
}

func (g *gate) remove(node certs.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, node)
}

func (g *gate) take() (shown []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	shown, g.shown = g.shown, nil
	return shown
}

// TestSecretOnlyWhenAsked: a node presents its secret to a server that does not know it, once, and never
// again after it was admitted: it must not undo its removal.
func TestSecretOnlyWhenAsked(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGate("secret")
		admit := func(c *ServerConfig) { c.Admit = g }
		server := w.startServer(admit)
		invited := func(c *NodeConfig) { c.JoinSecret = []byte("secret") }
		w.startNode(expose("web", web), invited).leases.wait(t, 1)
		if shown := g.take(); !slices.Equal(shown, []string{"", "secret"}) {
			t.Errorf("a newcomer showed %q", shown)
		}
		if n := w.logged.count("level=WARN"); n != 0 {
			t.Errorf("%d warnings as an invited node joined", n)
		}

		w.crash(server)
		server = w.startServer(admit)
		eventually(t, "back", func() bool { return len(server.server.Status().Sessions) == 1 })
		if shown := g.take(); !slices.Equal(shown, []string{""}) {
			t.Errorf("one that was admitted showed %q", shown)
		}

		g.remove(w.nodeKey.ID())
		w.crash(server)
		server = w.startServer(admit)
		time.Sleep(10 * time.Minute)
		if shown := g.take(); len(shown) < 5 || slices.Contains(shown, "secret") {
			t.Errorf("one that was removed showed %q", shown)
		}
		if n := w.logged.count("only its owner can let it in again"); n != 1 {
			t.Errorf("it was told %d times what to do", n)
		}
	})
}

// TestKnownNodeKeepsItsSecret: a server that knows the node does not get the secret.
func TestKnownNodeKeepsItsSecret(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGate("secret")
		g.known[w.nodeKey.ID()] = true
		w.startServer(func(c *ServerConfig) { c.Admit = g })
		w.startNode(expose("web", web), func(c *NodeConfig) { c.JoinSecret = []byte("secret") }).leases.wait(t, 1)
		if shown := g.take(); !slices.Equal(shown, []string{""}) {
			t.Errorf("it showed %q", shown)
		}
	})
}

// TestNoSecret: a node that is refused without a secret says that the secret may have been lost.
func TestNoSecret(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.Admit = newGate("secret") })
		w.startNode(expose("web", web))
		eventually(t, "told", func() bool { return w.logged.count("put quotes around the invitation") == 1 })
	})
}

// TestSecondHello: after NotAuthorized a server takes one more Hello, and nothing else.
func TestSecondHello(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.Admit = newGate("secret") })
		refused := func() (*peer, *framing.Sealer) {
			p := dialServer(w)
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
			p.wantReply(1, framing.OpFailure, framing.ErrorNotAuthorized)
			return p, s
		}
		hello := func(p *peer, s *framing.Sealer, nonce uint64, secret string) {
			p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1, JoinSecret: []byte(secret)}, nonce, false))
		}

		p, _ := refused() // silence
		begin := time.Now()
		p.wantClose(framing.ErrorNotAuthorized)
		if waited := time.Since(begin); waited > conn.HelloTimeout {
			t.Errorf("the server waited %v for a second Hello", waited)
		}
		p, s := refused() // something else
		p.write(seal(t, s, framing.OpKeepalive, &framing.Keepalive{}, 2, false))
		p.wantClose(framing.ErrorNotAuthorized)
		p, s = refused() // still without a secret
		hello(p, s, 2, "")
		p.wantReply(2, framing.OpFailure, framing.ErrorNotAuthorized)
		p.wantClose(framing.ErrorNotAuthorized)
		p, s = refused() // two wrong secrets
		hello(p, s, 2, "guess")
		hello(p, s, 3, "secret")
		p.wantReply(2, framing.OpFailure, framing.ErrorNotAuthorized)
		p.wantClose(framing.ErrorNotAuthorized)
		p, s = refused() // the right one
		hello(p, s, 2, "secret")
		p.wantReply(2, framing.OpWelcome, 0)
		hello(p, s, 3, "secret")
		p.wantClose(framing.ErrorUnexpectedMessage)
	})
}
