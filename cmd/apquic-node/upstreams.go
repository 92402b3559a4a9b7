package main

import (
	"context"
	"log/slog"
	"sync"

	"apquic/quicproxy/node"
)

// tellSilentUpstreams warns at the start of services that do not answer: else the first visitor finds that out. stop ends it.
func tellSilentUpstreams(node *node.Node, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), upstreamPatience)
	var asking sync.WaitGroup
	asking.Go(func() {
		for _, s := range node.Status(ctx).Services {
			if s.Upstream != nil && context.Cause(ctx) != context.Canceled {
				log.Warn("the service does not answer yet", "service", s.Service, "upstream", s.Origin, "err", s.Upstream.Error(),
					"hint", "check that it runs and listens there; its visitors get a reset until then")
			}
		}
	})
	return func() { cancel(); asking.Wait() }
}
