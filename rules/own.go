package rules

import (
	"fmt"

	"reflect"

	"apquic/certs"
)

// Operator is what a limit is said by that the operator set for a single node, rather than by a rule: no rule can have
// this name.
const Operator = "limit of the operator"

// Named is what a sentence calls that by which a limit is said; empty: by nothing.
func Named(by string) string {
	if by == "" || by == Operator {
		return by
	}
	return fmt.Sprintf("rule %q", by)
}

// Own are the limits of single nodes. They go before all rules; their By is Operator.
type Own map[certs.NodeID]Limits

// Of returns what they and the rules say about a node.
func (own Own) Of(all Rules, id certs.NodeID, name string) Limits {
	l := own[id]
	l.fill(all.Of(id, name))
	return l
}

// Differs reports whether others say something else of a node.
func (own Own) Differs(others Own, id certs.NodeID) bool {
	return !reflect.DeepEqual(own[id], others[id])
}
