// Package password makes and checks the hashes of passwords that stand in a file of settings: bcrypt, and
// nothing else. No error of it repeats what it was given.
package password

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"apquic/internal/hint"
)

const (
	// standard is that of new hashes: about a quarter of a second on a computer of 2020. minCost to maxCost
	// are accepted; each more doubles the time.
	standard         = 12
	minCost, maxCost = 10, 14
	// MaxLength is what bcrypt looks at, in bytes.
	MaxLength = 72
	maxUser   = 64
)

// Hash makes the hash of a password.
func Hash(password string) (string, error) { return hashAt(password, standard) }

func hashAt(password string, cost int) (string, error) {
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > MaxLength:
		return "", fmt.Errorf("the password has %d bytes, but bcrypt takes only %d", len(password), MaxLength)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	return string(hash), nil
}

// Check checks that hash is one by bcrypt, of a sensible cost. The error does not repeat it, since it may be
// the password itself.
func Check(hash string) error {
	cost, err := bcrypt.Cost([]byte(hash))
	const size = 60
	switch {
	case err != nil || len(hash) != size:
		return hint.Add(errors.New("this is not a hash by bcrypt"),
			"apquic-node hash-password NAME asks for a password and prints what belongs here; a password that was written here as it is should be changed")
	case cost < minCost || cost > maxCost:
		return hint.Add(fmt.Errorf("the cost of this hash is %d, and not from %d to %d", cost, minCost, maxCost),
			"apquic-node hash-password NAME makes one of cost %d", standard)
	}
	return nil
}

// CheckUser checks a name for HTTP Basic.
func CheckUser(name string) error {
	if name == "" || len(name) > maxUser || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the name of a user has 1 to %d printable ASCII characters", maxUser)
	}
	if strings.Contains(name, ":") {
		return errors.New("the name of a user contains no colon")
	}
	return nil
}
