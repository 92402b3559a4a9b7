// Package identity is about the ids that a server has one after the other.
//
// It must not know connections, or decide whom a server admits.
package identity

import (
	"crypto/ed25519"
	"fmt"

	"apquic/certs"
	"apquic/framing"
)

// KnownBy returns the ids of which a client must know one to be answered; none: anybody is answered. former is the id
// that the server had before, zero if it had none.
func KnownBy(anybody bool, id, former certs.NodeID) []certs.NodeID {
	if anybody {
		return nil
	}
	if former.IsZero() {
		return []certs.NodeID{id}
	}
	return []certs.NodeID{id, former} // the handshake tells clients that missed a change of the key
}

// Successor is what a server tells nodes about the id that it will have later; nil: nothing, since it has none.
func Successor(key certs.PrivateKey, next certs.NodeID) (*framing.Successor, error) {
	present := key.ID()
	switch {
	case next.IsZero():
		return nil, nil
	case next == present:
		return nil, fmt.Errorf("the next id of the server, %v, is the one it already has", next)
	}
	return framing.SignSuccessor(key.Sign, ed25519.PublicKey(present[:]), ed25519.PublicKey(next[:])), nil
}
