package carrier

import (
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/memory"
)

const (
	// datagramStreams bounds the streams of datagrams that the other side may have.
	datagramStreams = 8
	// firstByteTimeout bounds the wait for the first byte of a unidirectional stream.
	firstByteTimeout = 10 * time.Second
)

// CarryFlows makes the connection carry flows: handle gets the datagrams of the other side, from several
// goroutines, and must not wait. It is called before Begin. The account pays for what waits to be sent.
func (c *Conn) CarryFlows(account *memory.Account, counters *flow.Counters, handle func(framing.Datagram)) {
	c.received = flow.Receiver{Counters: counters, Handle: handle}
	c.Flows = flow.NewSender(c, account, counters)
}

// SendDatagram implements flow.Conn.
func (c *Conn) SendDatagram(b []byte) error { return c.QUIC.SendDatagram(b) }

// Sent implements flow.Conn.
func (c *Conn) Sent() uint64 { return c.QUIC.ConnectionStats().BytesSent }

// receiveDatagrams takes what comes until the connection ends. A connection that carries no flows needs it,
// too: quic-go keeps what nobody reads.
func (c *Conn) receiveDatagrams() {
	if c.Flows != nil {
		defer c.Flows.Close()
	}
	for {
		b, err := c.QUIC.ReceiveDatagram(c.QUIC.Context())
		switch {
		case err != nil:
			return
		case c.Flows == nil:
			conn.Close(c.QUIC, &framing.ProtocolError{Code: framing.ErrorUnexpectedMessage, Text: "this connection carries no flows"})
			return
		}
		c.received.Receive(b)
	}
}

// readDatagrams reads a unidirectional stream if it is one of datagrams.
func (c *Conn) readDatagrams(stream *quic.ReceiveStream) bool {
	var first [1]byte
	stream.SetReadDeadline(time.Now().Add(firstByteTimeout))
	if _, err := stream.Peek(first[:]); err != nil || first[0] != framing.DatagramStream {
		return false
	}
	stream.SetReadDeadline(time.Time{})
	if c.Flows == nil || !c.streamsOfDatagrams.Take(datagramStreams) {
		stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayMoved))
		return true
	}
	defer c.streamsOfDatagrams.Give()
	c.waits.Add(flow.StreamCost)
	defer c.waits.Add(-flow.StreamCost)
	c.received.ReadStream(stream)
	return true
}
