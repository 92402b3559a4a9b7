package certs

import (
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	tokenSize = 32 // bytes of a new token
	minToken  = 32 // characters, so that nobody guesses it
)

// LoadOrCreateToken is [LoadOrCreateKey] for a token: a line of at least 32 printable characters without spaces, which
// somebody else may have written. A new one is 64 hexadecimal digits.
func LoadOrCreateToken(path string) (string, error) {
	line, err := loadOrCreateLine(path, func() (string, error) { return hex.EncodeToString(newSecret(tokenSize)), nil })
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	if len(line) < minToken || strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", damaged(fmt.Errorf("token file %s: want at least %d letters, digits and signs in one line", path, minToken), path)
	}
	return line, nil
}
