package framing

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// MaxMessageSize bounds an envelope, in bytes, without its length.
	MaxMessageSize = 64 << 10
	// ExporterLabel is the label of the TLS exporter (RFC 8446 section 7.5) that binds signatures to their
	// connection; no context, 32 bytes.
	ExporterLabel = "EXPORTER-apquic/1"

	signatureContext = "apquic/1 control\x00"
)

// Role is the side of a connection that signed a message.
type Role byte

// A signature of one role does not pass for one of the other.
const (
	RoleNode   Role = 1
	RoleServer Role = 2
)

// Binding ties signatures to one connection of one network.
type Binding struct {
	Exporter [32]byte // of TLS, see ExporterLabel
	NetID    uint32
}

// Sealer signs the messages of one side of a connection. It is not safe for concurrent use: its results must
// be written in order.
type Sealer struct {
	sign    func([]byte) []byte
	public  ed25519.PublicKey
	role    Role
	binding Binding

	nonce uint64 // of the last message
}

// NewSealer returns a Sealer that signs with sign, whose public key is public.
func NewSealer(sign func(message []byte) []byte, public ed25519.PublicKey, role Role, binding Binding) *Sealer {
	return &Sealer{sign: sign, public: public, role: role, binding: binding}
}

// Seal returns a signed envelope preceded by its length, ready to write. requestNonce identifies a request;
// its reply repeats it with reply set; it is 0 for a message that is neither. A message that cannot be
// encoded or is larger than MaxMessageSize is an error and uses up no nonce.
func (s *Sealer) Seal(op Opcode, inner proto.Message, requestNonce uint64, reply bool) ([]byte, error) {
	payload, err := proto.Marshal(inner)
	if err != nil {
		return nil, fmt.Errorf("encoding %v: %w", op, err)
	}
	m := &Message{
		Message:      payload,
		Sender:       &ID{NetKey: s.public},
		RequestNonce: requestNonce,
		MessageNonce: s.nonce + 1,
		ReplyFlag:    reply,
		Opcode:       uint32(op),
		NetID:        s.binding.NetID,
	}
	m.Signature = s.sign(signedBytes(m, s.role, s.binding.Exporter))
	size := proto.Size(m)
	if size > MaxMessageSize {
		return nil, fmt.Errorf("%v has %d bytes, but at most %d are allowed", op, size, MaxMessageSize)
	}
	frame := protowire.AppendVarint(nil, uint64(size))
	if frame, err = (proto.MarshalOptions{}).MarshalAppend(frame, m); err != nil {
		return nil, fmt.Errorf("encoding the envelope of %v: %w", op, err)
	}
	s.nonce++
	return frame, nil
}

// signedBytes is what a signature covers (docs/protocol.md section 4): every meaningful part of m, with the
// payload as it is sent, and the connection.
func signedBytes(m *Message, role Role, exporter [32]byte) []byte {
	const fixed = len(signatureContext) + len(exporter) + 1 + 4 + 8 + 8 + 1 + 4 + 8
	b := make([]byte, 0, fixed+len(m.Message))
	b = append(b, signatureContext...)
	b = append(b, exporter[:]...)
	b = append(b, byte(role))
	b = binary.BigEndian.AppendUint32(b, m.Opcode)
	b = binary.BigEndian.AppendUint64(b, m.RequestNonce)
	b = binary.BigEndian.AppendUint64(b, m.MessageNonce)
	if m.ReplyFlag {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint32(b, m.NetID)
	b = binary.BigEndian.AppendUint64(b, uint64(len(m.Message)))
	return append(b, m.Message...)
}
