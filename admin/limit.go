package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/internal/settings/limits"
	"apquic/rules"
)

// LimitRequest says what a node may have, before all rules.
type LimitRequest struct {
	Node   string       `json:"node"`             // id or name
	Clear  bool         `json:"clear,omitempty"`  // forget first what was said before
	Limits limits.Words `json:"limits,omitempty"` // by their keys in a rule; an empty one is forgotten
}

// Limited is what the operator says of a node, beside the rules.
type Limited struct {
	ID     certs.NodeID `json:"id"`
	Name   string       `json:"name,omitempty"`
	Limits limits.Words `json:"limits"` // by their keys in a rule
}

// Limit implements Operations.
func (a *Authority) Limit(ctx context.Context, r LimitRequest) (Limited, error) {
	if !r.Clear && len(r.Limits) == 0 {
		return Limited{}, hint.Add(errors.New("there is no limit to set"), "say which, such as maxClients=10; apquic-server explain shows what holds")
	}
	node, err := a.which(ctx, r.Node)
	if err != nil {
		return Limited{}, err
	}
	now, err := a.Limits.Change(node.ID, r.Clear, r.Limits, a.Core.Limit)
	if err != nil {
		return Limited{}, err
	}
	a.audit("limit", "node", node.ID, "name", node.Name, "limits", now.String())
	return Limited{node.ID, node.Name, now}, nil
}

// ListLimits implements Operations.
func (a *Authority) ListLimits(ctx context.Context) ([]Limited, error) {
	nodes, err := a.all(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[certs.NodeID]string, len(nodes))
	for _, node := range nodes {
		names[node.ID] = node.Name
	}
	list := []Limited{}
	for id, words := range a.Limits.All() {
		list = append(list, Limited{id, names[id], words})
	}
	slices.SortFunc(list, func(a, b Limited) int { return cmp.Or(cmp.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:])) })
	return list, nil
}

// rules are all that say what nodes may have; what the settings say; and what is said of single nodes.
func (a *Authority) rules() (all rules.Rules, settings rules.Limits, own rules.Own) {
	if a.Rules != nil {
		all, settings = a.Rules()
	}
	if a.Limits != nil {
		own = a.Limits.Own()
	}
	return all, settings, own
}

// Limit implements Operations.
func (c *Client) Limit(ctx context.Context, r LimitRequest) (Limited, error) {
	return call[Limited](ctx, c, "limit", r)
}

// ListLimits implements Operations.
func (c *Client) ListLimits(ctx context.Context) ([]Limited, error) {
	return call[[]Limited](ctx, c, "limits", nil)
}
