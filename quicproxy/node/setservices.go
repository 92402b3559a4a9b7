package node

import (
	"context"
	"fmt"
	"reflect"
	"slices"
)

// SetServices makes the services of Config.Services others, at any time. One that is the same stays as it is. One that
// is different keeps its lease, as far as what it asks for allows, and its relays run on with the upstream that they
// have; so do those of one that is gone, which gets no new clients. After an error nothing has changed. Services of
// Listen stay.
func (n *Node) SetServices(services []Service) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	n.mu.Lock()
	before := slices.Clone(n.services)
	n.mu.Unlock()
	all := make([]*exposed, len(services))
	for i, service := range services {
		former := find(before, service.Name)
		if former != nil && former.upstream != nil && reflect.DeepEqual(former.settings, service) {
			all[i] = former
			continue
		}
		e, err := n.newExposed(service, former)
		if err != nil {
			return fmt.Errorf("service %q: %w", service.Name, err)
		}
		all[i] = e
	}
	gone, err := n.exchange(all)
	for _, e := range gone {
		if now := n.service(e.name); e.listener != nil && (now == nil || now.listener != e.listener) {
			e.listener.Close()
		}
		if now := n.service(e.name); now == nil || !reflect.DeepEqual(now.settings.behind(), e.settings.behind()) {
			n.flows.Moved(e.name)
		}
	}
	return err
}

// exchange makes all the services of the settings, and returns those that no longer are.
func (n *Node) exchange(all []*exposed) (gone []*exposed, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	services := slices.Clone(all)
	for _, e := range n.services {
		switch {
		case e.upstream == nil: // of Listen
			services = append(services, e)
		case !slices.Contains(all, e):
			gone = append(gone, e)
		}
	}
	for i, e := range services {
		if find(services[:i], e.name) != nil {
			return nil, fmt.Errorf("there are two services with the name %q", e.name)
		}
	}
	n.services = services
	for _, e := range gone {
		if e.unwatch != nil {
			e.unwatch()
		}
	}
	n.reserveLocked()
	for _, e := range all {
		n.watchHealthLocked(e)
	}
	n.heedLimitsLocked(n.allowedServices)
	n.wakeLocked()
	return gone, nil
}

// follows makes e the service that former was: it has its relays, its address, and who accepts its connections.
func (e *exposed) follows(former *exposed) {
	former.mu.Lock()
	defer former.mu.Unlock()
	e.relays, e.public, e.named = former.relays, former.public, former.named
	if former.accepts() && e.accepts() {
		e.listener = former.listener
	}
}

// accepts reports whether the program accepts the connections of the service.
func (e *exposed) accepts() bool { return e.listener != nil && e.guard == nil }

// watchHealthLocked has a service checked, as its settings say, until it is unwatched or the node stops.
func (n *Node) watchHealthLocked(e *exposed) {
	if n.running == nil || n.stopped || e.health == nil || e.unwatch != nil {
		return
	}
	ctx, unwatch := context.WithCancel(n.running)
	e.unwatch = unwatch
	n.relaying.Go(func() { e.health.Run(ctx, func(sick error) { n.healthChanged(e, sick) }) })
}

func find(services []*exposed, name string) *exposed {
	if i := slices.IndexFunc(services, func(e *exposed) bool { return e.name == name }); i >= 0 {
		return services[i]
	}
	return nil
}
