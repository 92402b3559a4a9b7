package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"apquic/certs"
	"apquic/internal/hint"
)

// minPrefix is the least number of characters of an id that must be given; the log shows eight.
const minPrefix = 4

// which returns the node that a person means by its name, its id, or the beginning of the id as the log shows
// it. The node must be in the list, be connected, or have a port.
func (a *Authority) which(ctx context.Context, who string) (certs.AuthorizedNode, error) {
	node, err := a.Nodes.Find(ctx, who)
	prefix := strings.TrimSuffix(who, "…")
	if !errors.Is(err, certs.ErrNoNode) || len(prefix) < minPrefix {
		return node, err
	}
	candidates, failed := a.candidates(ctx)
	if failed != nil {
		return node, failed
	}
	maps.DeleteFunc(candidates, func(id certs.NodeID, _ certs.AuthorizedNode) bool { return !strings.HasPrefix(id.String(), prefix) })
	switch len(candidates) {
	case 0:
		return node, err
	case 1:
		for _, node = range candidates {
		}
		return node, nil
	}
	var texts []string
	for id, node := range candidates {
		texts = append(texts, strings.TrimSpace(id.String()+" "+node.Name))
	}
	slices.Sort(texts)
	return node, hint.Add(fmt.Errorf("%d nodes have ids that begin with %s:\n%s", len(texts), prefix, strings.Join(texts, "\n")), "give more of the id")
}

// candidates returns all nodes that the server knows of.
func (a *Authority) candidates(ctx context.Context) (map[certs.NodeID]certs.AuthorizedNode, error) {
	nodes, err := a.all(ctx)
	if err != nil {
		return nil, err
	}
	status, err := a.Core.Status(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[certs.NodeID]certs.AuthorizedNode)
	for _, s := range status.Sessions {
		known[s.Node] = certs.AuthorizedNode{ID: s.Node}
	}
	for _, l := range status.Leases {
		if !l.IsGroup() {
			known[l.Node] = certs.AuthorizedNode{ID: l.Node}
		}
	}
	for _, node := range nodes {
		known[node.ID] = node
	}
	return known, nil
}
