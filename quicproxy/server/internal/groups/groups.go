// Package groups knows which nodes may offer the services that several nodes offer together.
//
// It must not know connections, or which nodes are here.
package groups

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
)

// Groups are those of a server.
type Groups struct {
	mu      sync.Mutex
	members map[string][]member

	// leases serialises what nodes do to the leases of groups, of which each is that of several nodes.
	leases sync.Mutex
}

// member is one that may offer a group.
type member struct {
	id   certs.NodeID // zero: known by its name
	name string
}

// New returns the groups with these names, and who may offer each: the ids of nodes, or the names that the
// server's operator gave them.
func New(rules map[string][]string) (*Groups, error) {
	g := new(Groups)
	return g, g.Set(rules)
}

// Set makes these all the groups, or says why they cannot be.
func (g *Groups) Set(rules map[string][]string) error {
	members, err := read(rules)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = members
	return nil
}

func read(rules map[string][]string) (map[string][]member, error) {
	members := make(map[string][]member, len(rules))
	for group, allowed := range rules {
		if err := framing.CheckServiceName(group); err != nil {
			return nil, fmt.Errorf("group %q: %w", group, err)
		}
		members[group] = nil
		for _, who := range allowed {
			m := member{name: who}
			if id, err := certs.ParseNodeID(who); err == nil {
				m = member{id: id}
			} else if err := certs.CheckName(who); err != nil {
				return nil, fmt.Errorf("group %q: %q is neither the name of a node nor an id: %w", group, who, err)
			}
			members[group] = append(members[group], m)
		}
	}
	return members, nil
}

// Has reports whether there is a group with that name.
func (g *Groups) Has(group string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, has := g.members[group]
	return has
}

// Check returns the failure for a node that may not offer a group. It is the same if there is no such group,
// and tells nothing of other nodes. name is what the operator calls the node; it may be empty.
func (g *Groups) Check(group string, node certs.NodeID, name string) error {
	g.mu.Lock()
	members := g.members[group]
	g.mu.Unlock()
	if slices.ContainsFunc(members, func(m member) bool {
		return m.id == node && !node.IsZero() || m.name != "" && m.name == name
	}) {
		return nil
	}
	return &quicproxy.FailureError{
		Code: framing.ErrorNotInGroup, Text: fmt.Sprintf("this node may not offer the group %q", group),
		Advice:     fmt.Sprintf("ask the operator of the server to name the node in its settings: \"groups\": {%q: [..., %q]}", group, cmp.Or(name, node.String())),
		RetryAfter: conn.PersonRetry,
	}
}

// Hold keeps others from changing who offers the groups, if the key is that of one, until release is called.
func (g *Groups) Hold(key lease.Key) (release func()) {
	if !key.IsGroup() {
		return func() {}
	}
	g.leases.Lock()
	return g.leases.Unlock
}
