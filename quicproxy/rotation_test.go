package quicproxy_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
)

// welcomes collects what a node was told when it was admitted.
type welcomes struct {
	mu  sync.Mutex
	all []Welcome
}

func (s *welcomes) add(w Welcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, w)
}

func (s *welcomes) last() Welcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return Welcome{}
	}
	return s.all[len(s.all)-1]
}

func (s *welcomes) collect(c *NodeConfig) { c.OnWelcome = s.add }

// TestRotation: a node that learned of the server's next key follows to it, and does not go back.
func TestRotation(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		old, next := w.key, newKey(t)
		var told welcomes
		server := w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web), told.collect).leases.wait(t, 1)
		if got := told.last(); got.Server != old.ID() || !got.Next.IsZero() {
			t.Fatalf("before the announcement: %+v", got)
		}
		server.stop()
		server = w.startServer(func(c *ServerConfig) { c.Next = next.ID() })
		eventually(t, "announced", func() bool { return told.last().Next == next.ID() })
		if n := w.logged.count("will have a new key"); n != 1 {
			t.Errorf("it was told %d times", n)
		}

		server.stop()
		w.key = next
		server = w.startServer()
		begin := time.Now()
		eventually(t, "followed", func() bool { return told.last() == Welcome{Server: next.ID()} })
		if took := time.Since(begin); took > 3*time.Second { // the second wait in a row is 2 s at most, a third would be 4 s
			t.Errorf("followed after %v", took)
		}
		exchange(t, w.visit("20000"), "with the new key")

		server.stop() // whoever has the former key is no longer the server
		w.key = old
		impostor := w.startServer()
		time.Sleep(10 * time.Minute)
		if sessions := impostor.server.Status().Sessions; len(sessions) != 0 {
			t.Errorf("the node went back to the former key: %+v", sessions)
		}
	})
}

// TestRotationMissed: a node that was away while the next key was announced is refused, and told what to do.
func TestRotationMissed(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		node := w.nodeConfig()
		w.startServer().stop()
		w.key = newKey(t)
		server := w.startServer(func(c *ServerConfig) { c.Former = node.Server })
		w.startNode(func(c *NodeConfig) { c.Server = node.Server }, expose("web", web))
		eventually(t, "told", func() bool {
			text := w.logged.String()
			return strings.Contains(text, "wrong server: wanted "+node.Server.String()+", but "+w.key.ID().String()+" answered") &&
				strings.Contains(text, "get a new invitation from its owner and join with it and --replace")
		})
		time.Sleep(5 * time.Minute)
		if sessions := server.server.Status().Sessions; len(sessions) != 0 {
			t.Errorf("sessions: %+v", sessions)
		}
	})
}

// TestRotationRemembered: a node restarted after the announcement knows both ids, and forgets the next one
// when the server withdraws it.
func TestRotationRemembered(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		old, next := w.key, newKey(t)
		remembers := func(c *NodeConfig) { c.Server, c.Next = old.ID(), next.ID() }
		w.key = next
		server := w.startServer()
		var told welcomes
		node := w.startNode(expose("web", web), remembers, told.collect).leasesWait(t)
		if got := told.last(); got.Server != next.ID() {
			t.Errorf("welcomed with %+v", got)
		}
		node.stop()
		server.stop()

		w.key = old // the owner thought better of it
		server = w.startServer()
		w.startNode(expose("web", web), remembers, told.collect).leasesWait(t)
		if got := told.last(); got.Server != old.ID() || !got.Next.IsZero() {
			t.Errorf("welcomed with %+v", got)
		}
		server.stop()
		w.key = next
		server = w.startServer()
		time.Sleep(5 * time.Minute)
		if sessions := server.server.Status().Sessions; len(sessions) != 0 {
			t.Errorf("a withdrawn key is followed: %+v", sessions)
		}
	})
}

// TestSecretIsNotForSuccessor: a server that has only the announced key does not get the secret of an
// invitation to the present one, nor does a server that has admitted the node before.
func TestSecretIsNotForSuccessor(t *testing.T) {
	for name, test := range map[string]struct {
		change func(c *NodeConfig, server certs.NodeID)
		told   string
	}{
		"announced": {func(c *NodeConfig, server certs.NodeID) { c.Next = server }, "its invitation is for the key that the server had before"},
		"known":     {func(c *NodeConfig, server certs.NodeID) { c.Server, c.Known = server, true }, "the server has admitted this node before"},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				g := newGate("secret")
				before := w.key.ID()
				w.key = newKey(t)
				w.startServer(func(c *ServerConfig) { c.Admit = g })
				w.startNode(expose("web", web), func(c *NodeConfig) {
					c.Server, c.JoinSecret = before, []byte("secret")
					test.change(c, w.key.ID())
				})
				eventually(t, "told", func() bool { return w.logged.count(test.told) > 0 })
				time.Sleep(5 * time.Minute)
				for _, shown := range g.take() {
					if shown != "" {
						t.Errorf("the server was shown %q", shown)
					}
				}
			})
		})
	}
}

// TestFalseSuccessor: an announcement that the present key has not signed ends the connection and changes
// nothing.
func TestFalseSuccessor(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		other := newKey(t)
		id := other.ID()
		present := w.key.ID()
		var told welcomes
		fakeServer(w, &framing.Welcome{Successor: framing.SignSuccessor(other.Sign, present[:], id[:])})
		w.startNode(expose("web", web), told.collect)
		eventually(t, "refused", func() bool { return w.logged.count("not signed by the present key") > 0 })
		if got := told.last(); got != (Welcome{}) {
			t.Errorf("welcomed with %+v", got)
		}
	})
}

// TestJoin: the node is admitted and leaves, without registering services or replacing another process.
func TestJoin(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGate("secret")
		server := w.startServer(func(c *ServerConfig) { c.Admit = g })
		join := func(change ...func(*NodeConfig)) (Welcome, error) {
			config := w.nodeConfig()
			for _, c := range change {
				c(&config)
			}
			node, err := NewNode(config)
			if err != nil {
				t.Fatal(err)
			}
			return node.Join(t.Context())
		}
		secret := func(text string) func(*NodeConfig) {
			return func(c *NodeConfig) { c.JoinSecret = []byte(text) }
		}
		if _, err := join(secret("wrong")); err == nil || !strings.Contains(err.Error(), certs.ErrNoInvitation.Error()) {
			t.Errorf("with a wrong secret: %v", err)
		}
		welcome, err := join(secret("secret"))
		if err != nil || welcome != (Welcome{Server: w.key.ID(), Joined: true}) {
			t.Errorf("with the secret: %+v, %v", welcome, err)
		}
		if welcome, err = join(); err != nil || welcome.Joined {
			t.Errorf("again: %+v, %v", welcome, err)
		}
		eventually(t, "gone", func() bool { return len(server.server.Status().Sessions) == 0 })

		w.startNode(expose("web", web)).leases.wait(t, 1)
		before := server.server.Status().Sessions
		if _, err := join(); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("beside a running node: %v", err)
		}
		if after := server.server.Status().Sessions; len(after) != 1 || !sameSession(after[0], before[0]) {
			t.Errorf("the running node lost its place: %+v", after)
		}
		if _, err := join(func(c *NodeConfig) { c.Server = certs.NodeID{1} }); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("another server: %v", err)
		}
		server.stop()
		if _, err := join(); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("without a server: %v", err)
		}
	})
}
