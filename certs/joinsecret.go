package certs

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"github.com/mr-tron/base58"
)

const (
	maxJoinSecret = 64 // bytes
	secretCheck   = 2  // bytes after it in the text form
	// maxSecretText is the length of the longest text form.
	maxSecretText = 91

	secretContext = "apquic/1 invitation\x00"
)

var (
	errNoSecret  = errors.New("nothing follows the #, where the secret belongs")
	errBadSecret = errors.New("the secret, which follows the #, is cut short or mistyped")
)

// encodeJoinSecret returns the text form of a secret of the server with this id (docs/protocol.md section
// 2.3): in base58, followed by a two-byte check.
func encodeJoinSecret(server NodeID, secret []byte) string {
	return base58.Encode(append(bytes.Clone(secret), checkOf(server, secret)...))
}

// decodeJoinSecret reads the text form. One in 65536 texts that are truncated, mistyped, or belong to another
// id passes.
func decodeJoinSecret(server NodeID, text string) ([]byte, error) {
	if text == "" {
		return nil, errNoSecret
	}
	// Decoding takes quadratic time, so the length comes first.
	if len(text) > maxSecretText {
		return nil, errors.New("the secret is too long")
	}
	raw, err := base58.Decode(text)
	if err != nil || len(raw) <= secretCheck {
		return nil, errBadSecret
	}
	secret, check := raw[:len(raw)-secretCheck], raw[len(raw)-secretCheck:]
	if !bytes.Equal(check, checkOf(server, secret)) {
		return nil, errBadSecret
	}
	if len(secret) > maxJoinSecret {
		return nil, errors.New("the secret is too long")
	}
	return secret, nil
}

func checkOf(server NodeID, secret []byte) []byte {
	sum := sha256.New()
	sum.Write([]byte(secretContext))
	sum.Write(server[:])
	sum.Write(secret)
	return sum.Sum(nil)[:secretCheck]
}
