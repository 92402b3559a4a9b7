package limit

import "sync/atomic"

// Count bounds how many of something there are at once. The zero value has none.
type Count struct{ n atomic.Int64 }

// Take adds one, unless there are limit already.
func (c *Count) Take(limit int) bool {
	if c.n.Add(1) > int64(limit) {
		c.n.Add(-1)
		return false
	}
	return true
}

// Give takes one back.
func (c *Count) Give() { c.n.Add(-1) }

// Len is how many there are.
func (c *Count) Len() int { return int(c.n.Load()) }
