package node

import (
	"cmp"
	"context"
	"slices"

	"apquic/quicproxy/node/internal/upstream"
)

// watchHealth checks the services, as their settings say, until ctx ends; start starts a goroutine.
func (n *Node) watchHealth(ctx context.Context, start func(func())) {
	n.mu.Lock()
	services := slices.Clone(n.services)
	n.mu.Unlock()
	for _, e := range services {
		start(func() { e.health.Run(ctx, func(sick error) { n.healthChanged(e, sick) }) })
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
