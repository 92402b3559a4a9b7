package visitors

import (
	"errors"
	"fmt"

	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/ruling"
)

// SetLimits sets what the rules of the server say about the node.
func (g *Gate) SetLimits(limits ruling.Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limits == limits {
		return
	}
	g.limits = limits
	g.setLocked(g.node)
}

// Limited is a service with the limits that its clients have now.
func (g *Gate) Limited(service clients.Service) clients.Service {
	g.mu.Lock()
	defer g.mu.Unlock()
	service.PerAddress = smaller(g.server.PerAddress, g.node.PerAddress)
	service.Most, service.MostPerAddress = int(g.limits.Clients.Value), int(g.limits.PerAddress.Value)
	return service
}

// blame adds to why a visitor was refused the rule that says so, if one does.
func (g *Gate) blame(err error) error {
	g.mu.Lock()
	limits, node := g.limits, g.node
	g.mu.Unlock()
	// The service may have a lower limit of its own.
	decides := func(l ruling.Limit, own int) bool { return own == 0 || l.Value > 0 && l.Value < int64(own) }
	by := ""
	switch {
	case errors.Is(err, ruling.ErrSpent):
		by = limits.Spent
	case errors.Is(err, ErrFast) && decides(limits.Rate, node.Rate):
		by = limits.Rate.By
	case errors.Is(err, clients.ErrServiceFull), errors.Is(err, clients.ErrNodeFull):
		by = limits.Clients.By
	case errors.Is(err, clients.ErrAddressFull) && decides(limits.PerAddress, node.PerAddress):
		by = limits.PerAddress.By
	}
	if by == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, by)
}
