package flow

import (
	"errors"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

// StreamCost is what a stream of datagrams costs its receiver, in bytes: the largest of them, and a goroutine.
const StreamCost = framing.MaxPayload + 8<<10

// recordTimeout bounds how long a datagram may take that has begun on a stream.
const recordTimeout = 10 * time.Second

// Receiver takes the datagrams that come over a connection.
type Receiver struct {
	Counters *Counters
	// Handle gets each of them, from several goroutines. It must not wait. The payload is valid only during
	// the call.
	Handle func(framing.Datagram)
}

// Receive parses a datagram and hands it over.
func (r *Receiver) Receive(b []byte) {
	d, err := framing.ParseDatagram(b)
	if err != nil {
		r.Counters.Malformed.Add(1)
		return
	}
	r.handle(d)
}

func (r *Receiver) handle(d framing.Datagram) {
	if d.Kind <= framing.DatagramFirst {
		r.Counters.Received.Add(1)
	}
	r.Handle(d)
}

// ReadStream reads a stream of datagrams until it ends, with its first byte.
func (r *Receiver) ReadStream(stream quicstream.ReceiveStream) {
	code := framing.ErrorRelayReset
	if _, bad := errors.AsType[*framing.ProtocolError](r.readStream(stream)); bad {
		code = framing.ErrorBadHeader
		r.Counters.Malformed.Add(1)
	}
	stream.CancelRead(quic.StreamErrorCode(code)) // which changes nothing if the stream has ended
}

// readStream returns why the stream is over, as io.EOF.
func (r *Receiver) readStream(stream quicstream.ReceiveStream) error {
	var first [1]byte
	if _, err := stream.Read(first[:]); err != nil {
		return err
	}
	buffer := make([]byte, 2048)
	for {
		if _, err := stream.Peek(first[:]); err != nil {
			return err
		}
		stream.SetReadDeadline(time.Now().Add(recordTimeout))
		d, err := framing.ReadDatagramRecord(stream, buffer)
		if err != nil {
			return err
		}
		stream.SetReadDeadline(time.Time{})
		r.handle(d)
	}
}
