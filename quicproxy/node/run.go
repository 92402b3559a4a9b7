package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/node/internal/reason"
)

// Run keeps the node connected until ctx ends, then lets running relays finish and returns nil. It logs and
// retries whatever fails. It may be called only once.
func (n *Node) Run(ctx context.Context) error {
	var links sync.WaitGroup
	if n.config.Keepalive < 0 {
		n.learner.Load()
	}
	background, stop := context.WithCancel(context.Background())
	var services sync.WaitGroup
	services.Go(func() { n.config.WatchNetwork(background, n.network.Tell) })
	services.Go(func() { n.memory.Run(background) })
	services.Go(func() { n.limited.Run(background) })
	links.Go(func() { n.lanes.run(ctx) })
	n.watchHealth(ctx)
	defer func() {
		links.Wait()
		n.associate(0)
		close(n.over)
		n.endRelaying()
		n.relaying.Wait()
		n.flows.Close()
		stop()
		services.Wait()
	}()
	r := newReconnector(n, &links)
	n.log.Info("connecting", "server", n.config.Address)
	current := r.connect(ctx, ctx, 0)
	for current != nil {
		err := current.watch(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errSuspect):
			attempt, cancel := current.path.WhileSuspect(ctx, current.QUIC.Context())
			if next := r.connect(ctx, attempt, 0); next != nil {
				current = next // the old one goes on with its relays, or dies
			} else if current.QUIC.Context().Err() == nil {
				r.connLog.Connected(current.QUIC.RemoteAddr().String()) // it answers again
			}
			cancel()
		default:
			n.use(nil)
			if reason.IsReplaced(err) {
				n.setStandby(true)
			}
			pause := r.retry.Ended(current.since, err, current.restarts.Load())
			r.missed(err, pause)
			current = r.connect(ctx, ctx, pause)
		}
	}
	return nil
}

// endRelaying lets nothing more begin that relaying waits for. Streams no longer do.
func (n *Node) endRelaying() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
}

func (n *Node) peerName() string { return "the server at " + n.config.Address }

// use makes l the connection on which services are registered.
func (n *Node) use(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link = l
	if l != nil {
		n.trouble = nil
	}
	n.linked.Tell()
}

// setTrouble notes why there is no connection, and when the next try is.
func (n *Node) setTrouble(err error, next time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trouble, n.nextTry = err, next
	n.linked.Tell()
}

// current returns the connection in use; nil: there is none.
func (n *Node) current() *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link
}

// associate returns the association with the server's process, whose instance is peer; 0: none. It ends the
// association with any other process.
func (n *Node) associate(peer uint64) *association.Association {
	if n.config.ResumeTime < 0 {
		return nil
	}
	n.mu.Lock()
	before := n.association
	if before == nil && peer == 0 || before != nil && before.Peer == peer {
		n.mu.Unlock()
		return before
	}
	n.association = nil
	if peer != 0 {
		n.association = association.New(peer, n.config.ResumeTime)
	}
	now := n.association
	n.mu.Unlock()
	before.End(framing.ErrorRelayReset)
	return now
}

// relaysWait reports whether relays wait for a connection to resume.
func (n *Node) relaysWait() bool {
	relays, carriers := n.shared().Size()
	return relays > 0 && carriers == 0
}

// shared returns the association with the server's present process.
func (n *Node) shared() *association.Association {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.association
}

func (n *Node) setStandby(standby bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.standby = standby
}
