package admin

import (
	"context"
	"errors"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/rules"
)

// Explained is what the rules of the server say about a node.
type Explained struct {
	ID       certs.NodeID       `json:"id"`
	Name     string             `json:"name,omitempty"`
	Rules    []string           `json:"rules"`  // those that name the node, in their order
	Limits   []rules.Decision   `json:"limits"` // all that rules can say anything about
	Services []ExplainedService `json:"services"`
	Month    uint64             `json:"bytesThisMonth"` // of its services, in both directions

	MonthLimit int64 `json:"maxMonthBytes"` // the limit of these as a number; 0: none
}

// ExplainedService is a service with a port or domain, as the rules see it.
type ExplainedService struct {
	Service   string          `json:"service"`
	Port      uint16          `json:"port,omitempty"`
	Domain    string          `json:"domain,omitempty"`
	Transport lease.Transport `json:"transport"`         // tcp, udp or tcp+udp
	Refused   string          `json:"refused,omitempty"` // why it gets no new visitors
	Rule      string          `json:"rule,omitempty"`    // that says so
}

// Explain implements Operations.
func (a *Authority) Explain(ctx context.Context, who string) (Explained, error) {
	node, err := a.which(ctx, who)
	if err != nil {
		return Explained{}, err
	}
	status, err := a.Core.Status(ctx)
	if err != nil {
		return Explained{}, err
	}
	all, settings, own := a.rules()
	limits := own.Of(all, node.ID, node.Name)
	explained := Explained{
		ID: node.ID, Name: node.Name, Rules: append([]string{}, all.Naming(node.ID, node.Name)...), Limits: limits.Explain(settings), Services: []ExplainedService{},
		MonthLimit: limits.MaxMonthBytes.Value,
	}
	if a.Totals != nil {
		explained.Month = a.Totals.Month(node.ID)
	}
	for _, l := range status.Leases {
		if l.Node != node.ID {
			continue
		}
		service := ExplainedService{Service: l.Service, Port: l.Port, Domain: l.Domain, Transport: l.Transport}
		if refusal, ok := errors.AsType[*rules.Refusal](limits.RefuseLease(l, time.Now())); ok {
			service.Refused, service.Rule = refusal.Text, refusal.Rule
		}
		explained.Services = append(explained.Services, service)
	}
	return explained, nil
}
