package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/connlog"
	"apquic/quicproxy/node/internal/dial"
	"apquic/quicproxy/node/internal/reason"
	"apquic/quicproxy/node/internal/retry"
)

// eagerHandshakeTimeout bounds the attempts that follow each other.
const eagerHandshakeTimeout = 3 * time.Second

// reconnector makes the connections of a running node, one after the other.
type reconnector struct {
	node    *Node
	links   *sync.WaitGroup
	retry   *retry.Reconnects
	connLog *connlog.Log
}

func newReconnector(n *Node, links *sync.WaitGroup) *reconnector {
	return &reconnector{
		node: n, links: links, retry: retry.NewReconnects(),
		connLog: connlog.New(n.log, n.peerName()),
	}
}

// eager reports whether attempts should be short and follow each other.
func (r *reconnector) eager() bool { return r.retry.Eager(r.node.relaysWait()) }

// connect tries until it has a connection, which then runs until running ends. It returns nil if attempt ends
// first.
func (r *reconnector) connect(running, attempt context.Context, pause time.Duration) *link {
	for r.sleep(attempt, pause); attempt.Err() == nil; r.sleep(attempt, pause) {
		timeout := dial.HandshakeTimeout
		if r.eager() {
			timeout = eagerHandshakeTimeout
		}
		stopWaiting := r.connLog.Wait(timeout)
		l, err := r.node.connect(running, attempt, timeout, false)
		stopWaiting()
		if err == nil {
			r.node.use(l)
			r.links.Go(func() { l.run(running) })
			r.connLog.Connected(l.QUIC.RemoteAddr().String())
			return l
		}
		if attempt.Err() == nil {
			if reason.HadNoPlace(err) && !r.eager() { // otherwise the pause is short anyway
				r.retry.Slow, pause = false, r.retry.NoPlace()
			} else {
				pause = r.retry.After(err, r.eager())
			}
			r.missed(err, pause)
		}
	}
	return nil
}

// sleep pauses, but only briefly once the network of this machine has changed.
func (r *reconnector) sleep(ctx context.Context, pause time.Duration) {
	if r.retry.Slow {
		wait.Sleep(ctx, pause)
		return
	}
	unchanged, cancel := context.WithTimeout(r.node.network.Changed(), pause)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	<-unchanged.Done()
	if errors.Is(unchanged.Err(), context.Canceled) && ctx.Err() == nil {
		r.retry.Reset()
		wait.Sleep(ctx, r.retry.Next())
	}
}

// missed notes why there is no connection.
func (r *reconnector) missed(err error, pause time.Duration) {
	r.connLog.Disconnected(err, pause)
	r.node.setTrouble(conn.Explain(err, r.node.peerName()), time.Now().Add(pause))
	if reason.IsSentAway(err) {
		r.node.associate(0) // the server has ended all relays
	}
}
