package server

import (
	"crypto/ed25519"
	"fmt"

	"apquic/framing"
)

// successor is what the server tells nodes about its next key; nil: nothing.
func successor(config Config) (*framing.Successor, error) {
	present, next := config.Key.ID(), config.Next
	switch {
	case next.IsZero():
		return nil, nil
	case next == present:
		return nil, fmt.Errorf("the next id of the server, %v, is the one it already has", next)
	}
	return framing.SignSuccessor(config.Key.Sign, ed25519.PublicKey(present[:]), ed25519.PublicKey(next[:])), nil
}
