package wait

import (
	"context"
	"sync"
)

// Changes notifies everyone waiting that the network of this machine may have changed.
type Changes struct {
	mu   sync.Mutex
	next context.Context // ends at the next change
	end  context.CancelFunc
}

// Changed returns a context that ends at the next change.
func (c *Changes) Changed() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next, c.end = context.WithCancel(context.Background())
	}
	return c.next
}

// Tell notifies everyone who waits for a change.
func (c *Changes) Tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		c.end()
		c.next = nil
	}
}
