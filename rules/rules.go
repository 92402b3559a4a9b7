package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"apquic/certs"
)

// Everyone, as one of the nodes of a rule, stands for all; a name that ends like that for all that begin so.
const Everyone = "*"

const (
	// maxRules and maxNodes bound what is looked through for each request.
	maxRules, maxNodes = 256, 1024
	// fromSettings is what no rule can be called: it would be mistaken for the settings.
	fromSettings = "settings"
)

// Rule says what some nodes may have. Its limits have its name.
type Rule struct {
	Name  string
	Nodes []string // names, ids, beginnings of names with a "*", or Everyone
	Limits
}

// Rules are those of a server. Each limit of a node is that of the first rule that names the node and says something
// about this limit, whatever other rules say.
type Rules []Rule

// Of returns what the rules say about a node: its id, and the name that the operator knows it by, which may be empty.
func (all Rules) Of(id certs.NodeID, name string) (l Limits) {
	who := identify(id, name)
	for _, rule := range all {
		if rule.covers(who) {
			l.fill(rule.Limits)
		}
	}
	return l
}

// Naming returns the names of the rules that name a node, in their order.
func (all Rules) Naming(id certs.NodeID, name string) (names []string) {
	who := identify(id, name)
	for _, rule := range all {
		if rule.covers(who) {
			names = append(names, rule.Name)
		}
	}
	return names
}

// node is how rules can name one; empty texts name nobody.
type node struct{ id, name string }

// identify returns how rules name a node. An id is never a name.
func identify(id certs.NodeID, name string) (n node) {
	if !id.IsZero() {
		n.id = id.String()
	}
	if _, err := certs.ParseNodeID(name); err != nil {
		n.name = name
	}
	return n
}

// covers reports whether the rule names a node.
func (r Rule) covers(n node) bool {
	return slices.ContainsFunc(r.Nodes, func(who string) bool {
		if begin, many := strings.CutSuffix(who, Everyone); many {
			return begin == "" || n.name != "" && strings.HasPrefix(n.name, begin)
		}
		return who == n.id || who == n.name && who != ""
	})
}

// CheckNode returns why a text is nobody whom a rule can name.
func CheckNode(who string) error {
	if begin, many := strings.CutSuffix(who, Everyone); many {
		if begin == "" {
			return nil
		}
		who = begin
	} else if id, err := certs.ParseNodeID(who); err == nil {
		if who != id.String() {
			return fmt.Errorf("write this id as %v", id)
		}
		return nil
	}
	return certs.CheckName(who)
}

// Check returns what is wrong with rules.
func (all Rules) Check() error {
	if len(all) > maxRules {
		return fmt.Errorf("there are %d rules, of %d at most", len(all), maxRules)
	}
	known := make(map[string]bool)
	for i, rule := range all {
		err := rule.check()
		switch {
		case rule.Name == "":
			return fmt.Errorf("rule %d has no name", i+1)
		case err == nil && known[rule.Name]:
			err = errors.New("another rule has this name")
		}
		if err != nil {
			return fmt.Errorf("rule %q: %w", rule.Name, err)
		}
		known[rule.Name] = true
	}
	return nil
}

func (r Rule) check() error {
	if err := certs.CheckName(r.Name); err != nil {
		return err
	}
	switch {
	case r.Name == fromSettings:
		return errors.New("this would be mistaken for the settings of the server: choose another name")
	case len(r.Nodes) == 0:
		return errors.New(`it is for no node: want "nodes"`)
	case len(r.Nodes) > maxNodes:
		return fmt.Errorf("it is for %d nodes, of %d at most", len(r.Nodes), maxNodes)
	case !r.saysAnything():
		return errors.New("it says nothing")
	}
	for _, who := range r.Nodes {
		if err := CheckNode(who); err != nil {
			return fmt.Errorf("%.80q is nobody: %w", who, err)
		}
	}
	return r.Limits.Check(r.Name)
}
