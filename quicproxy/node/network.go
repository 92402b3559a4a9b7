package node

import (
	"context"
	"sync"
)

// networkChanges tells everybody who wants to know that the network of this machine may have changed.
type networkChanges struct {
	mu   sync.Mutex
	next context.Context // ends at the next change
	end  context.CancelFunc
}

// changed returns a context that ends at the next change.
func (c *networkChanges) changed() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next, c.end = context.WithCancel(context.Background())
	}
	return c.next
}

func (c *networkChanges) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		c.end()
		c.next = nil
	}
}
