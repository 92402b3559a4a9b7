package certs

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mr-tron/base58"

	"apquic/internal/hint"
)

// NodeID is the identity of a node or a server: its raw ed25519 public key (RFC 8032 section 5.1.5). The zero
// NodeID is nobody's.
type NodeID [ed25519.PublicKeySize]byte

// maxBase58ID is the length of the longest base58 form of 32 bytes.
const maxBase58ID = 44

// ParseNodeID reads the base58 form of an id (Bitcoin alphabet, no checksum, 32 to 44 characters) or "0x" and
// 64 hexadecimal digits. The id of 32 zero bytes, which is nobody's, is refused. Errors do not repeat s,
// since people paste private keys where ids belong.
func ParseNodeID(s string) (NodeID, error) {
	id, err := decodeNodeID(s)
	if err != nil {
		return NodeID{}, hint.Add(fmt.Errorf("node id: %w", err),
			"a node id is 32 bytes in base58, 43 or 44 letters and digits: copy the line that the command `id` prints")
	}
	return id, nil
}

func decodeNodeID(s string) (id NodeID, err error) {
	var raw []byte
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		if len(digits) != hex.EncodedLen(len(id)) {
			return NodeID{}, fmt.Errorf("want 64 hexadecimal digits after 0x, got %d characters", len(digits))
		}
		if raw, err = hex.DecodeString(digits); err != nil {
			return NodeID{}, errors.New("not hexadecimal after 0x")
		}
	} else {
		// Decoding takes quadratic time, so the length comes first.
		if len(s) < len(id) || len(s) > maxBase58ID {
			return NodeID{}, fmt.Errorf("want 32 to 44 base58 characters, got %d", len(s))
		}
		if raw, err = base58.Decode(s); err != nil {
			return NodeID{}, errors.New("not base58, which has no 0, O, I and l")
		}
		if len(raw) != len(id) {
			return NodeID{}, fmt.Errorf("want 32 bytes, got %d: there are too few or too many characters", len(raw))
		}
	}
	if id = NodeID(raw); id.IsZero() {
		return NodeID{}, errors.New("all zero bytes, which is nobody's id")
	}
	return id, nil
}

// IsZero reports whether id is nobody's.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// String returns the base58 form.
func (id NodeID) String() string { return base58.Encode(id[:]) }

// MarshalText returns the base58 form. The error is always nil.
func (id NodeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is [ParseNodeID]; id is unchanged if text is invalid.
func (id *NodeID) UnmarshalText(text []byte) error {
	parsed, err := ParseNodeID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// LogValue returns the first 8 characters: enough to tell nodes apart in a log.
func (id NodeID) LogValue() slog.Value {
	return slog.StringValue(id.String()[:8] + "…")
}
