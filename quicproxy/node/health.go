package node

import (
	"cmp"
	"context"

	"apquic/quicproxy/node/internal/upstream"
)

// watchHealth has the services checked until ctx ends, also those that come later.
func (n *Node) watchHealth(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running = ctx
	for _, e := range n.services {
		n.watchHealthLocked(e)
	}
}

// healthChanged has the server told.
func (n *Node) healthChanged(e *exposed, sick error) {
	if sick != nil {
		n.log.Warn("the service is unhealthy and gets no new clients", "service", e.name, "upstream", e.origin, "err", upstream.Reason(sick))
	} else {
		n.log.Info("the service is healthy again", "service", e.name)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wakeLocked()
}

// trouble is what is wrong with the upstream: it does not answer, or fails its health checks.
func (e *exposed) trouble(ctx context.Context) error {
	return upstream.Reason(cmp.Or(e.upstream.Check(ctx), e.health.Sick()))
}
