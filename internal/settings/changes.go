package settings

import (
	"reflect"

	"apquic/internal/settings/internal/changes"
)

// Change is a setting that differs from the one in use.
type Change = changes.Change

// Follow returns what a running program makes of changed settings: those that can change while it runs are next's,
// the others stay. changes are all that differ, in the order of the rows.
func (n Node) Follow(next Node) (now Node, changes []Change) {
	changes = n.rows().follow(next.rows())
	return n, append(changes, n.Carrier.changes(next.Carrier)...)
}

// Follow is that of a server.
func (s Server) Follow(next Server) (now Server, changes []Change) {
	changes = s.rows().follow(next.rows())
	return s, append(changes, s.Carrier.changes(next.Carrier)...)
}

// follow takes over what can change, and returns all that differs.
func (all rows) follow(next rows) (differing []Change) {
	for i, r := range all {
		if to := next[i]; !r.equals(to.setting) {
			differing = append(differing, changes.Of(r.key, r.unset, r.live, r.describe(), to.describe())...)
			if r.live {
				r.take(to.setting)
			}
		}
	}
	return differing
}

func (c Carrier) changes(next Carrier) []Change {
	if c.Key.ID() == next.Key.ID() {
		return nil
	}
	return []Change{{What: "peerPrivateKey: changed"}}
}

func (b *bound[T]) equals(other setting) bool {
	if b.same != nil {
		return b.same(*b.field, *other.(*bound[T]).field)
	}
	return reflect.DeepEqual(*b.field, *other.(*bound[T]).field)
}

func (b *bound[T]) take(other setting) { *b.field = *other.(*bound[T]).field }
