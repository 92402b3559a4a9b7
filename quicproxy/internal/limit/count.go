package limit

import "sync/atomic"

// Count limits how many of something exist at once. The zero value counts none.
type Count struct{ n atomic.Int64 }

// Take adds one, unless there are already limit.
func (c *Count) Take(limit int) bool {
	if c.n.Add(1) > int64(limit) {
		c.n.Add(-1)
		return false
	}
	return true
}

// Give subtracts one.
func (c *Count) Give() { c.n.Add(-1) }

// Len is how many there are.
func (c *Count) Len() int { return int(c.n.Load()) }
