package framing

import (
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// DatagramKind says what a Datagram of a flow is (docs/protocol.md section 6.6).
type DatagramKind uint8

// The kinds of datagrams.
const (
	DatagramPayload DatagramKind = 0 // what the client or the service sent
	DatagramFirst   DatagramKind = 1 // the same, behind the FlowHeader: the node may not have the flow
	DatagramKnown   DatagramKind = 2 // the node has the flow
	DatagramUnknown DatagramKind = 3 // the sender has no flow with this number
)

const (
	// MaxPayload is the largest payload that UDP has over IPv6, and MaxFlow the largest number of a flow.
	MaxPayload = 65527
	MaxFlow    = math.MaxUint64 >> 2

	// maxFlowHeaderSize bounds the header of a flow, in bytes, without its length.
	maxFlowHeaderSize = 512
	// maxDatagramSize bounds a datagram on a stream.
	maxDatagramSize = 10 + 2 + maxFlowHeaderSize + MaxPayload
)

var errDatagram = errors.New("not a datagram of a flow")

// Datagram is one of a flow, as it travels in a QUIC datagram or on a stream.
type Datagram struct {
	Flow    uint64 // the number of the flow, from 1 to MaxFlow
	Kind    DatagramKind
	Header  *FlowHeader // of a DatagramFirst, otherwise nil
	Payload []byte      // of a DatagramPayload or DatagramFirst
}

// AppendDatagram appends d to b.
func AppendDatagram(b []byte, d Datagram) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("datagram: %w", err)
	}
	b = protowire.AppendVarint(b, d.Flow<<2|uint64(d.Kind))
	if d.Kind != DatagramFirst {
		return append(b, d.Payload...), nil
	}
	size := proto.Size(d.Header)
	if size > maxFlowHeaderSize {
		return nil, fmt.Errorf("datagram: a header of %d bytes, but at most %d are allowed", size, maxFlowHeaderSize)
	}
	b, err := proto.MarshalOptions{}.MarshalAppend(protowire.AppendVarint(b, uint64(size)), d.Header)
	return append(b, d.Payload...), err
}

// ParseDatagram reads a datagram that is b. Its payload is in the memory of b.
func ParseDatagram(b []byte) (Datagram, error) {
	first, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return Datagram{}, errDatagram
	}
	d := Datagram{Flow: first >> 2, Kind: DatagramKind(first & 3), Payload: b[n:]}
	if d.Kind == DatagramFirst {
		header, n := protowire.ConsumeBytes(d.Payload)
		if n < 0 || len(header) > maxFlowHeaderSize {
			return Datagram{}, errDatagram
		}
		d.Header, d.Payload = new(FlowHeader), d.Payload[n:]
		if err := proto.Unmarshal(header, d.Header); err != nil {
			return Datagram{}, fmt.Errorf("%w: its header cannot be decoded", errDatagram)
		}
	}
	return d, d.check()
}

func (d Datagram) check() error {
	switch {
	case d.Flow == 0 || d.Flow > MaxFlow:
		return errors.New("it has no flow")
	case d.Kind > DatagramUnknown:
		return errors.New("it is of no kind")
	case d.Kind > DatagramFirst && len(d.Payload) > 0, len(d.Payload) > MaxPayload:
		return errors.New("its payload is too long")
	case d.Kind != DatagramFirst:
		return nil
	}
	return errors.Join(CheckServiceName(d.Header.GetService()), checkAddress(d.Header.GetClientAddress()), checkAddress(d.Header.GetPublicAddress()))
}

// DatagramStream begins a stream of datagrams: it tells the stream from a stripe, whose header is not empty.
const DatagramStream = 0

// ReadDatagramRecord reads the next datagram of a stream into the memory of buffer if it fits, and not one
// byte more. It returns io.EOF if the stream ends before it, otherwise errors as ReadStreamHeader does.
func ReadDatagramRecord(r io.Reader, buffer []byte) (Datagram, error) {
	size, err := readSize(byteReader{r}, maxDatagramSize)
	if err != nil {
		if bad, ok := errors.AsType[*ProtocolError](err); ok {
			err = badHeader(bad)
		}
		return Datagram{}, err
	}
	if uint64(cap(buffer)) < size {
		buffer = make([]byte, size)
	}
	if _, err := io.ReadFull(r, buffer[:size]); err != nil {
		return Datagram{}, unexpectedEOF(err)
	}
	d, err := ParseDatagram(buffer[:size])
	if err != nil {
		return Datagram{}, badHeader(err)
	}
	return d, nil
}
