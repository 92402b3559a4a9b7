package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/lease"
)

// PinRequest names a service of a node.
type PinRequest struct {
	Node    string `json:"node"` // id or name
	Service string `json:"service"`
	Port    uint16 `json:"port,omitempty"` // that it has from now on; 0: the one that it has
}

// UnpinRequest names a service of a node.
type UnpinRequest struct {
	Node    string `json:"node"` // id or name
	Service string `json:"service"`
}

// Pinned is a service whose port is now its own for good, or no longer.
type Pinned struct {
	Node       certs.NodeID `json:"node"`
	Name       string       `json:"name,omitempty"` // of the node
	Service    string       `json:"service"`
	Port       uint16       `json:"port"`
	Pinned     bool         `json:"pinned"`
	Reconnects bool         `json:"reconnects,omitempty"` // the node has to connect again, to hear of its new port
}

// Pin implements Operations.
func (a *Authority) Pin(ctx context.Context, r PinRequest) (Pinned, error) {
	before, err := a.find(ctx, ReleaseRequest{Node: r.Node, Service: r.Service})
	if err != nil {
		return Pinned{}, err
	}
	if r.Port != 0 {
		wanted := lease.Request{Key: before.key(), WantedPort: r.Port, Transport: before.Transport}
		all, _, own := a.rules()
		if err := own.Of(all, before.Node, before.Name).Refuse(wanted, time.Now()); err != nil {
			return Pinned{}, hint.Add(err, "choose another port, or change what the rule says")
		}
	}
	pinned, reconnects, err := a.Core.Pin(ctx, before.key(), r.Port)
	if err != nil {
		return Pinned{}, a.explainPin(ctx, err)
	}
	a.audit("pin", "node", before.Node, "name", before.Name, "service", before.Service, "port", pinned.Port)
	return Pinned{before.Node, before.Name, before.Service, pinned.Port, true, reconnects}, nil
}

// Unpin implements Operations.
func (a *Authority) Unpin(ctx context.Context, r UnpinRequest) (Pinned, error) {
	service, err := a.find(ctx, ReleaseRequest{Node: r.Node, Service: r.Service})
	if err != nil {
		return Pinned{}, err
	}
	if _, err := a.Core.Unpin(ctx, service.key()); err != nil {
		return Pinned{}, err
	}
	a.audit("unpin", "node", service.Node, "name", service.Name, "service", service.Service, "port", service.Port)
	return Pinned{Node: service.Node, Name: service.Name, Service: service.Service, Port: service.Port}, nil
}

// explainPin says whose the port is, and what to do.
func (a *Authority) explainPin(ctx context.Context, err error) error {
	taken, ok := errors.AsType[*lease.PortTakenError](err)
	switch {
	case errors.Is(err, lease.ErrNotPort):
		return hint.Add(err, "a domain is that of its service anyway, as long as the node is in the list")
	case errors.Is(err, lease.ErrPortOutOfRange):
		return hint.Add(err, "choose one of these")
	case errors.Is(err, lease.ErrPortBusy):
		return hint.Add(err, "choose another port, or stop the program")
	case !ok:
		return err
	}
	owner := Service{Node: taken.Lease.Node, Service: taken.Lease.Service}
	if nodes, failed := a.all(ctx); failed == nil {
		for _, node := range nodes {
			if node.ID == owner.Node {
				owner.Name = node.Name
			}
		}
	}
	whose := owner.owner()
	if !owner.IsGroup() {
		whose = fmt.Sprintf("the service %s of %s", owner.Service, whose)
	}
	return hint.Add(fmt.Errorf("the port %d is that of %s", taken.Lease.Port, whose),
		"choose another one; apquic-server release %d gives it up while the node is away", taken.Lease.Port)
}

func (s Service) key() lease.Key { return lease.Key{Node: s.Node, Service: s.Service} }

// Pin implements Operations.
func (c *Client) Pin(ctx context.Context, r PinRequest) (Pinned, error) {
	return call[Pinned](ctx, c, "pin", r)
}

// Unpin implements Operations.
func (c *Client) Unpin(ctx context.Context, r UnpinRequest) (Pinned, error) {
	return call[Pinned](ctx, c, "unpin", r)
}
