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

// Post sends a message without waiting for a peer that may not read. It reports false if too many already
// wait.
func (c *ControlStream) Post(op framing.Opcode, message proto.Message) bool {
	return c.posted.Add(post{op, message}, maxPosted, func(p post) {
		c.Send(p.op, p.message) // its failure ends the connection
	})
}

// End waits for what Post began, once the connection has ended.
func (c *ControlStream) End() { c.posted.Close() }
