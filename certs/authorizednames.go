package certs

import (
	"context"
	"fmt"
	"os"
)

// Named returns the id of the node that is called name, if exactly one is, and it is not shut out. Like the other
// methods it reads the file again if that changed.
func (a *AuthorizedNodes) Named(ctx context.Context, name string) (id NodeID, found bool) {
	a.withTurn(ctx, func() error { // an error means that nobody is found
		if err := a.refresh(ctx); err != nil {
			return err
		}
		id = a.byName()[name]
		found = !id.IsZero() && !a.nodes[id].Denied
		return nil
	})
	return id, found
}

// byName returns the nodes by their names, with nobody for a name of several. It needs the turn.
func (a *AuthorizedNodes) byName() map[string]NodeID {
	if a.names == nil {
		a.names = make(map[string]NodeID)
		for id, node := range a.nodes {
			if _, twice := a.names[node.Name]; twice {
				id = NodeID{}
			}
			if node.Name != "" {
				a.names[node.Name] = id
			}
		}
	}
	return a.names
}

// Call gives a node of the file the name that it would like, unless somebody has chosen one for it, or another node has that.
// It returns the node as it is in the file then; the zero value if it is not there.
func (a *AuthorizedNodes) Call(ctx context.Context, id NodeID, name string) (node AuthorizedNode, err error) {
	err = a.withTurn(ctx, func() error {
		if err := a.refresh(ctx); err != nil {
			return err
		}
		node = a.nodes[id]
		chosen := node.Name != "" && !isMadeUp(node.Name)
		if _, taken := a.byName()[name]; taken || node.ID.IsZero() || chosen || CheckName(name) != nil {
			return nil
		}
		content, err := os.ReadFile(a.path)
		if err != nil {
			return err
		}
		called := node
		called.Name = name
		if err := ReplaceFile(a.path, []byte(replaceLines(string(content), called))); err != nil {
			return fmt.Errorf("call %v %s: %w", id, name, err)
		}
		node, a.nodes[id], a.names = called, called, nil
		return nil
	})
	return node, err
}
