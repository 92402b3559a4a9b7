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
		for _, node := range a.nodes {
			if name == "" || node.Name != name {
				continue
			}
			if found {
				id, found = NodeID{}, false
				return nil // two have it
			}
			id, found = node.ID, !node.Denied
		}
		return nil
	})
	return id, found
}

// Call gives a node of the file the name that it would like, unless it has one already, or another node has that. It
// returns the node as it is in the file then; the zero value if it is not there.
func (a *AuthorizedNodes) Call(ctx context.Context, id NodeID, name string) (node AuthorizedNode, err error) {
	err = a.withTurn(ctx, func() error {
		if err := a.refresh(ctx); err != nil {
			return err
		}
		node = a.nodes[id]
		if node.ID.IsZero() || node.Name != "" || CheckName(name) != nil || a.uniqueName(name) != name {
			return nil
		}
		content, err := os.ReadFile(a.path)
		if err != nil {
			return err
		}
		called := node
		called.Name = name
		if err := replaceFile(a.path, []byte(replaceLines(string(content), called))); err != nil {
			return fmt.Errorf("call %v %s: %w", id, name, err)
		}
		node, a.nodes[id] = called, called
		return nil
	})
	return node, err
}
