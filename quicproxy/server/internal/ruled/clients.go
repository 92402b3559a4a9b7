package ruled

import (
	"log/slog"
	"slices"
	"sync"

	"apquic/certs"
	"apquic/quicproxy/internal/ruling"
	"apquic/rules"
)

// spent are the nodes that have used up the bytes of this month, by the rule that says so. Each has sent as many as a rule
// lets it, so nobody can fill it.
type spent struct {
	mu    sync.Mutex
	nodes map[certs.NodeID]string
}

// Clients are the limits of a node for the clients of each of its services, now. It logs once that the node has used up
// the bytes of this month.
func (r *Rules) Clients(node certs.NodeID, l rules.Limits, log *slog.Logger) ruling.Limits {
	count := func(l rules.Limit[int]) ruling.Limit {
		return ruling.Limit{Value: int64(l.Value), By: rules.Named(l.By)}
	}
	rate := func(l rules.Limit[int64]) ruling.Limit { return ruling.Limit{Value: l.Value, By: rules.Named(l.By)} }
	limits := ruling.Limits{
		Clients: count(l.MaxClients), PerAddress: count(l.MaxClientsPerAddress), Rate: count(l.MaxClientRate),
		BytesIn: rate(l.MaxRateIn), BytesOut: rate(l.MaxRateOut),
	}
	used := uint64(0)
	if r.ledger != nil {
		used = r.ledger.Month(node)
	}
	spent := l.Spent(used)
	limits.Spent = rules.Named(spent)
	if r.spends(node, spent) {
		log.Warn("the node has used up its bytes of this month", "rule", spent, "used", used, "limit", l.MaxMonthBytes.Value)
	}
	return limits
}

// spends notes the rule by which a node has used up the bytes of this month, empty: by none. It reports whether that has
// just happened.
func (r *Rules) spends(node certs.NodeID, rule string) (begun bool) {
	s := &r.spent
	s.mu.Lock()
	defer s.mu.Unlock()
	if rule == "" {
		delete(s.nodes, node)
		return false
	}
	if s.nodes == nil {
		s.nodes = make(map[certs.NodeID]string)
	}
	begun = s.nodes[node] == ""
	s.nodes[node] = rule
	return begun
}

// IsOut reports whether a node had used up the bytes of this month when that was looked at last.
func (r *Rules) IsOut(node certs.NodeID) bool {
	r.spent.mu.Lock()
	defer r.spent.mu.Unlock()
	return r.spent.nodes[node] != ""
}

// LimitMonths reports whether any rule, or limit of a single node, says anything about the bytes of a month, or did while a
// node was out of them.
func (r *Rules) LimitMonths() bool {
	r.spent.mu.Lock()
	out := len(r.spent.nodes)
	r.spent.mu.Unlock()
	for _, own := range *r.own.Load() {
		if own.MaxMonthBytes.By != "" {
			return true
		}
	}
	return out > 0 || slices.ContainsFunc(*r.now.Load(), func(rule rules.Rule) bool { return rule.MaxMonthBytes.By != "" })
}
