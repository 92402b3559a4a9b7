package live

import "apquic/certs"

// maxRows is the most rows of an answer.
const maxRows = 1000

// Selection says which rows somebody asks for.
type Selection struct {
	Node    certs.NodeID // zero: of any
	Service string       // empty: of any
	Skip    int          // rows before the first one
	Limit   int          // at most so many; 0: maxRows
}

// Bounds returns which of so many rows are meant.
func (s Selection) Bounds(rows int) (from, to int) {
	limit := min(max(s.Limit, 0), maxRows)
	if limit == 0 {
		limit = maxRows
	}
	from = min(max(s.Skip, 0), rows)
	return from, from + min(limit, rows-from)
}

// Has reports whether a row is meant.
func (s Selection) Has(node certs.NodeID, service string) bool {
	return (s.Node.IsZero() || s.Node == node) && (s.Service == "" || s.Service == service)
}
