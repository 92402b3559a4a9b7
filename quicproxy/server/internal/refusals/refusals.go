// Package refusals counts why something was refused, by a fixed table of reasons, so that strangers cannot add one.
//
// It must not know what is refused.
package refusals

import (
	"errors"
	"sync/atomic"
)

// Reason is a name for errors.
type Reason struct {
	Name   string
	Errors []error
}

// Counts are the counts of a server.
type Counts struct {
	reasons []Reason
	counts  []atomic.Uint64 // the last one is of all other errors
}

// New returns Counts for these reasons; errors of none of them count as other.
func New(other string, reasons ...Reason) *Counts {
	return &Counts{reasons: append(reasons, Reason{Name: other}), counts: make([]atomic.Uint64, len(reasons)+1)}
}

// Add counts one.
func (c *Counts) Add(err error) { c.counts[c.find(err)].Add(1) }

func (c *Counts) find(err error) int {
	for i, reason := range c.reasons {
		for _, one := range reason.Errors {
			if errors.Is(err, one) {
				return i
			}
		}
	}
	return len(c.reasons) - 1
}

// Total is the sum.
func (c *Counts) Total() (sum uint64) {
	for i := range c.counts {
		sum += c.counts[i].Load()
	}
	return sum
}

// ByName returns the counts that are not 0.
func (c *Counts) ByName() map[string]uint64 {
	byName := make(map[string]uint64)
	for i := range c.counts {
		if n := c.counts[i].Load(); n > 0 {
			byName[c.reasons[i].Name] = n
		}
	}
	return byName
}
