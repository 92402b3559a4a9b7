package framing

import (
	"bufio"
	"bytes"
	"crypto/ed25519"

	"google.golang.org/protobuf/proto"
)

// Envelope is a verified message.
type Envelope struct {
	Opcode       Opcode
	Payload      []byte // the encoded inner message
	RequestNonce uint64 // 0: neither request nor reply
	Reply        bool
}

// Decode parses the payload into the message that the opcode stands for. Its error is a *ProtocolError.
func (e Envelope) Decode(into proto.Message) error {
	if err := proto.Unmarshal(e.Payload, into); err != nil {
		return protocolErrorf(ErrorMalformed, "%v cannot be decoded", e.Opcode)
	}
	return nil
}

// CheckKind returns a *ProtocolError for a message that is not what its opcode says: a request has a nonce, a
// reply has that of a request and the flag, and news has neither. With an unknown opcode, only a reply to
// nothing can be recognised.
func (e Envelope) CheckKind() error {
	nonce := e.RequestNonce != 0
	ok := nonce || !e.Reply
	switch e.Opcode.Kind() {
	case KindRequest:
		ok = nonce && !e.Reply
	case KindReply:
		ok = nonce && e.Reply
	case KindNews:
		ok = !nonce && !e.Reply
	}
	if !ok {
		return protocolErrorf(ErrorUnexpectedMessage, "%v may not come with request_nonce %d and reply_flag %t", e.Opcode, e.RequestNonce, e.Reply)
	}
	return nil
}

// Opener reads and verifies the messages of a connection's peer. It is not safe for concurrent use.
type Opener struct {
	peer    ed25519.PublicKey
	role    Role
	binding Binding

	nonce uint64 // of the last message
}

// NewOpener returns an Opener for messages by the key that TLS proved, sent in the peer's role.
func NewOpener(peer ed25519.PublicKey, role Role, binding Binding) *Opener {
	return &Opener{peer: peer, role: role, binding: binding}
}

// Open reads the next message. It returns io.EOF if the stream ends between two messages, io.ErrUnexpectedEOF
// if within one, a *ProtocolError if the message is unacceptable, and other errors of r unchanged. After an
// error the stream must not be used.
func (o *Opener) Open(r *bufio.Reader) (Envelope, error) {
	frame, err := readFrame(r, MaxMessageSize)
	if err != nil {
		return Envelope{}, err
	}
	m := new(Message)
	if err := proto.Unmarshal(frame, m); err != nil {
		return Envelope{}, protocolErrorf(ErrorMalformed, "a message cannot be decoded")
	}
	if err := o.verify(m); err != nil {
		return Envelope{}, err
	}
	o.nonce = m.MessageNonce
	return Envelope{
		Opcode:       Opcode(m.Opcode),
		Payload:      m.Message,
		RequestNonce: m.RequestNonce,
		Reply:        m.ReplyFlag,
	}, nil
}

// verify checks in the order of docs/protocol.md section 4, which determines the code when several things are
// wrong.
func (o *Opener) verify(m *Message) error {
	key := m.GetSender().GetNetKey()
	switch {
	case len(key) != ed25519.PublicKeySize || !bytes.Equal(key, o.peer):
		return protocolErrorf(ErrorForeignKey, "a message from a sender other than the one that TLS proved")
	case m.NetID != o.binding.NetID:
		return protocolErrorf(ErrorWrongNetwork, "a message of network %d in network %d", m.NetID, o.binding.NetID)
	case !ed25519.Verify(o.peer, signedBytes(m, o.role, o.binding.Exporter), m.Signature):
		return protocolErrorf(ErrorBadSignature, "the signature of a message is wrong or missing")
	case m.MessageNonce != o.nonce+1:
		return protocolErrorf(ErrorBadNonce, "message nonce %d follows %d", m.MessageNonce, o.nonce)
	}
	return nil
}
