package conn

import (
	"google.golang.org/protobuf/proto"

	"apquic/framing"
)

// maxPosted is how many messages without a reply wait for a peer that does not read its control stream.
const maxPosted = 8

// post is a message that expects no reply.
type post struct {
	op      framing.Opcode
	message proto.Message
}

// Post has a message sent without waiting for a peer that may not read. It reports false if too many wait already. A
// goroutine sends them, which is there only while there are some.
func (c *ControlStream) Post(op framing.Opcode, message proto.Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.posted) >= maxPosted {
		return false
	}
	c.posted = append(c.posted, post{op, message})
	if !c.posting {
		c.posting = true
		c.writers.Go(c.sendPosted)
	}
	return true
}

func (c *ControlStream) sendPosted() {
	for {
		c.mu.Lock()
		if len(c.posted) == 0 {
			c.posted, c.posting = nil, false
			c.mu.Unlock()
			return
		}
		next := c.posted[0]
		c.mu.Unlock()
		c.Send(next.op, next.message) // its failure ends the connection
		c.mu.Lock()
		c.posted = c.posted[1:]
		c.mu.Unlock()
	}
}

// End waits for what post began, after the connection has ended.
func (c *ControlStream) End() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.writers.Wait()
}
