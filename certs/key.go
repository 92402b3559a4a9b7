package certs

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// PrivateKey is the ed25519 private key behind a [NodeID]. Printing, logging and marshalling never show the
// key; only Sign uses it. The zero PrivateKey is no key.
type PrivateKey struct {
	// A function, because package fmt does not call methods of values in unexported fields, and prints the
	// bytes behind everything else, even pointers.
	key func() ed25519.PrivateKey
}

func wrap(key ed25519.PrivateKey) PrivateKey {
	return PrivateKey{func() ed25519.PrivateKey { return key }}
}

// GenerateKey makes a new random key.
func GenerateKey() (PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("make a private key: %w", err)
	}
	return wrap(key), nil
}

// ParsePrivateKey reads 64 hexadecimal digits (the seed, RFC 8032 section 5.1.5) or 128 (the seed and the
// public key, which must agree), with or without "0x" before them. A key that was published in documentation
// is refused with a [*PublishedKeyError]. Errors never repeat any part of s.
func ParsePrivateKey(s string) (PrivateKey, error) {
	digits := strings.TrimPrefix(s, "0x")
	if len(digits) != hex.EncodedLen(ed25519.SeedSize) && len(digits) != hex.EncodedLen(ed25519.PrivateKeySize) {
		return PrivateKey{}, fmt.Errorf("private key: want 64 or 128 hexadecimal digits, got %d characters", len(digits))
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return PrivateKey{}, errors.New("private key: not hexadecimal")
	}
	key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && subtle.ConstantTimeCompare(raw, key) != 1 {
		return PrivateKey{}, errors.New("private key: the second half is not the public key of the first half")
	}
	parsed := wrap(key)
	if err := checkPublished(parsed.ID()); err != nil {
		return PrivateKey{}, err
	}
	return parsed, nil
}

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return k.key == nil }

// ID returns the id that k proves, zero for no key.
func (k PrivateKey) ID() NodeID {
	if k.IsZero() {
		return NodeID{}
	}
	return NodeID(k.key().Public().(ed25519.PublicKey))
}

// Sign returns the 64-byte ed25519 signature of message (RFC 8032 section 5.1.6). It panics if k is no key.
func (k PrivateKey) Sign(message []byte) []byte { return ed25519.Sign(k.key(), message) }

// String says whose key it is.
func (k PrivateKey) String() string {
	if k.IsZero() {
		return "[no private key]"
	}
	return "[private key of " + k.ID().String() + "]"
}

// GoString is String.
func (k PrivateKey) GoString() string { return k.String() }

// Format writes String for every verb; otherwise %d would print the bytes.
func (k PrivateKey) Format(state fmt.State, _ rune) { io.WriteString(state, k.String()) }

// LogValue is String.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String, so that JSON never shows a key. The error is always nil.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
