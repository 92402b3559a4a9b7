package framing

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

const successorContext = "apquic/1 successor\x00"

// SignSuccessor announces next as a server's next key, signed with the private half of present.
func SignSuccessor(sign func(message []byte) []byte, present, next ed25519.PublicKey) *Successor {
	return &Successor{Id: next, Signature: sign(successorBytes(present, next))}
}

// OpenSuccessor returns the next key that the server with the key present announces, or why it cannot be
// believed.
func OpenSuccessor(present ed25519.PublicKey, s *Successor) (next [ed25519.PublicKeySize]byte, err error) {
	switch {
	case len(s.Id) != len(next):
		return next, fmt.Errorf("the successor's id has %d bytes, want %d", len(s.Id), len(next))
	case [ed25519.PublicKeySize]byte(s.Id) == next:
		return next, errors.New("the successor is all zero bytes")
	case present.Equal(ed25519.PublicKey(s.Id)):
		return next, errors.New("the successor is the present key")
	case !ed25519.Verify(present, successorBytes(present, s.Id), s.Signature):
		return next, errors.New("the successor is not signed by the present key")
	}
	return [ed25519.PublicKeySize]byte(s.Id), nil
}

// successorBytes is what the signature covers (docs/protocol.md section 2.6).
func successorBytes(present, next ed25519.PublicKey) []byte {
	b := append([]byte(successorContext), present...)
	return append(b, next...)
}
