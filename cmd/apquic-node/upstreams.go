package main

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"apquic/internal/hint"
	"apquic/internal/settings"
	"apquic/quicproxy/node"
)

// upstreamTimeout is how long a service may take to show that it answers.
const upstreamTimeout = 2 * time.Second

// warnOfSilentUpstreams warns at the start about services that do not answer, before the first visitor finds
// out. stop ends it.
func warnOfSilentUpstreams(node *node.Node, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), upstreamTimeout)
	var asking sync.WaitGroup
	asking.Go(func() {
		for _, s := range node.Status(ctx).Services {
			if s.Upstream != nil && context.Cause(ctx) != context.Canceled {
				log.Warn("the service does not answer yet", "service", s.Service, "upstream", s.Origin, "err", s.Upstream.Error(),
					"hint", cmp.Or(hint.Of(s.Upstream), "check that it runs and listens there; until then its visitors are reset"))
			}
		}
	})
	return func() { cancel(); asking.Wait() }
}

// warnOfProxies says who may use a proxy: whoever reaches it.
func warnOfProxies(services []settings.Service, log *slog.Logger) {
	for _, s := range services {
		if len(s.Networks) > 0 {
			log.Warn("this service leads everybody who reaches its public address into networks of this home",
				"service", s.Name, "networks", s.Networks, "hint", "name the smallest networks that will do, such as single addresses")
		}
	}
}
