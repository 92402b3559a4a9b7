package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/node/internal/reason"
	"apquic/quicproxy/node/internal/retry"
)

// requestTimeout bounds the wait for a lease. The path watch detects a dead connection much earlier.
const requestTimeout = 30 * time.Second

// register keeps the leases of this connection equal to the services of the node. It requests them one after
// the other, so that the first service gets the lowest port.
func (l *link) register(ctx context.Context) {
	asks := retry.NewSchedule(l.requests.GetRequestBurst(), l.requests.GetRequestsPerMinute())
	asked, told := make(map[string]*exposed), make(map[string]bool) // told: that it is unhealthy
	for {
		l.node.mu.Lock()
		services := slices.Clone(l.node.services)
		l.node.mu.Unlock()

		asks.Begin(func(name string) bool {
			return l.registered[name] != nil || find(services, name) != nil
		})
		l.releaseWithdrawn(ctx, asks, services)
		for _, service := range services {
			if asked[service.name] != service {
				asks.Changed(service.name)
				asked[service.name] = service
			}
			sick := service.health.Sick() != nil && l.features.Has(framing.FeatureGroups) // it gets no new clients
			if l.registered[service.name] == service && told[service.name] == sick || ctx.Err() != nil || !asks.Due(service.name) {
				continue
			}
			err := l.requestLease(ctx, service, sick)
			asks.Answered(service.name, err)
			if err != nil {
				service.refused(l, err)
				continue
			}
			l.setRegistered(service.name, service)
			told[service.name] = sick
		}
		select {
		case <-l.wake:
		case <-asks.Again():
		case <-ctx.Done():
			return
		}
	}
}

// requestLease requests the public address of a service.
func (l *link) requestLease(ctx context.Context, service *exposed, sick bool) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request := &framing.ProxyRequest{
		OriginAddress: service.origin, Service: service.name, WantedPort: uint32(service.wantedPort),
		Services: l.serviceNames(service.name),
		Movable:  l.association != nil, Transport: service.transport(),
		Group: service.group, Unhealthy: sick, Visitors: visitors.Message(service.visitors),
	}
	if l.features.Has(framing.FeatureCanaries) {
		request.CanarySeconds = uint32(service.settings.Canary / time.Second)
	}
	service.naming.Ask(l.names, request)
	if service.guard != nil {
		request.WantedPort, request.Private, request.AllowNodes = 0, true, service.guard.Allowed()
	}
	if err := reason.TooOld(request, l.features); err != nil {
		return err
	}
	var response framing.ProxyResponse
	if err := l.Control.Request(ctx, framing.OpProxyRequest, request, framing.OpProxyResponse, &response); err != nil {
		return err
	}
	if response.Service != service.name {
		return fmt.Errorf("the server answered for another service, %q", hint.Printable(response.Service, conn.MaxText))
	}
	service.leased(l, &response)
	return nil
}

// serviceNames returns asked and the names of all other services of the node, by which the server recognizes
// a renamed service; nil if they are too many to send.
func (l *link) serviceNames(asked string) []string {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	names := make([]string, len(l.node.services))
	for i, service := range l.node.services {
		names[i] = service.name
	}
	return framing.ServiceNames(asked, names)
}

// setRegistered notes which service the server has a lease for under a name; nil: it has none.
func (l *link) setRegistered(name string, service *exposed) {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	if service == nil {
		delete(l.registered, name)
	} else {
		l.registered[name] = service
	}
}

// releaseWithdrawn tells the server which services the node no longer has; the server holds their leases.
func (l *link) releaseWithdrawn(ctx context.Context, asks *retry.Schedule, services []*exposed) {
	for _, name := range slices.Collect(maps.Keys(l.registered)) {
		if find(services, name) != nil || !asks.Due(name) {
			continue
		}
		limit, cancel := context.WithTimeout(ctx, requestTimeout)
		err := l.Control.Request(limit, framing.OpRelease, &framing.Release{Service: name, Hold: true}, framing.OpReleased, new(framing.Released))
		cancel()
		if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok && failure.Code == framing.ErrorBadRequest {
			err = nil // the server no longer has it
		}
		asks.Answered(name, err)
		if err != nil {
			l.node.log.Debug("a service could not be withdrawn", "service", name, "err", err)
			continue
		}
		l.setRegistered(name, nil)
	}
}

// leased notes the public address.
func (e *exposed) leased(l *link, response *framing.ProxyResponse) {
	public := hint.Printable(response.ProxyAddress, conn.MaxText)
	e.mu.Lock()
	before := e.public
	named := hint.Printable(response.NameAddress, conn.MaxText)
	changed, told := before != public || named != e.named, e.told
	e.public, e.named, e.refusal, e.told = public, named, nil, true
	e.mu.Unlock()
	if e.listener != nil {
		e.listener.leased.Do(func() { close(e.listener.granted) })
	}
	if !changed && told {
		return
	}
	if before = cmp.Or(before, hint.Printable(response.PreviousAddress, conn.MaxText)); before != "" && before != public {
		attributes := []any{"change", before + " -> " + public, "service", e.name}
		if response.PreviousReason != "" {
			attributes = append(attributes, "reason", hint.Printable(response.PreviousReason, conn.MaxText))
		}
		l.node.log.Warn("address changed", attributes...)
	}
	if response.WantedPortTaken {
		l.node.log.Warn("the wanted public port is taken", "service", e.name, "wanted", e.wantedPort, "given", public)
	}
	l.node.config.OnLease(Lease{
		Service: e.name, PublicAddress: public, Name: named, Origin: e.origin,
		Held: time.Duration(min(response.LeaseSeconds, 1<<31)) * time.Second,
	})
}

// refused logs, once, why a service has no public address.
func (e *exposed) refused(l *link, err error) {
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok && failure.Code == framing.ErrorReplaced || l.QUIC.Context().Err() != nil {
		return // the connection ended, or is not the one in use; that is logged elsewhere
	}
	err = conn.Explain(err, l.node.peerName())
	e.mu.Lock()
	known := e.refusal != nil && e.refusal.Error() == err.Error()
	e.refusal = err
	e.mu.Unlock()
	if known {
		return
	}
	attributes := []any{"service", e.name, "reason", err.Error()}
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok && failure.Advice != "" {
		attributes = append(attributes, "hint", hint.Printable(failure.Advice, conn.MaxText))
	}
	l.node.log.Warn("no public address, trying again", attributes...)
}
