package certs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"apquic/internal/hint"
)

// maxBefore is the most former ids kept of a server that keeps changing its key.
const maxBefore = 16

// KnownServer is what a node remembers about the server that has admitted it, in the manner of SSH's known
// hosts: with it the node no longer needs an invitation. The zero KnownServer is none.
type KnownServer struct {
	// Invitation has the present id and the address, and no secret.
	Invitation Invitation
	// Next is the id that the server has announced for later; zero: none.
	Next NodeID
	// Before are the server's former ids, oldest first: an invitation with one of them means this server.
	Before []NodeID

	spent string // fingerprint of the secret that the node had when it was admitted
}

// knownServerFile is a KnownServer as in the file.
type knownServerFile struct {
	Server string   `json:"server"`
	Next   *NodeID  `json:"next,omitempty"`
	Before []NodeID `json:"before,omitempty"`
	Spent  string   `json:"spent,omitempty"`
}

// LoadKnownServer reads the file path. The error is fs.ErrNotExist if there is none.
func LoadKnownServer(path string) (KnownServer, error) {
	line, err := readPrivateLine(path)
	if err != nil {
		return KnownServer{}, fmt.Errorf("the known server: %w", err)
	}
	known, err := parseKnownServer([]byte(line))
	if err != nil {
		return KnownServer{}, hint.Add(fmt.Errorf("the known server: %s: %w", path, err),
			"remove %s, and join again with an invitation from the server", path)
	}
	return known, nil
}

func parseKnownServer(text []byte) (known KnownServer, err error) {
	var file knownServerFile
	if err := json.Unmarshal(text, &file); err != nil {
		return KnownServer{}, err
	}
	if known.Invitation, err = ParseInvitation(file.Server); err != nil {
		return KnownServer{}, err
	}
	if len(known.Invitation.Secret) > 0 {
		return KnownServer{}, errors.New("a secret does not belong here")
	}
	if file.Next != nil {
		known.Next = *file.Next
	}
	if len(file.Before) > maxBefore {
		return KnownServer{}, fmt.Errorf("%d former ids, want at most %d", len(file.Before), maxBefore)
	}
	known.Before, known.spent = file.Before, file.Spent
	return known, nil
}

// Save writes the file path, mode 0600, which a power cut leaves unchanged or complete.
func (k KnownServer) Save(path string) error {
	k.Invitation.Secret = nil
	file := knownServerFile{Server: k.Invitation.String(), Before: k.Before, Spent: k.spent}
	if !k.Next.IsZero() {
		file.Next = &k.Next
	}
	text, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("the known server: %w", err)
	}
	if err := writePrivateFile(path, string(text), os.Rename); err != nil {
		return fmt.Errorf("the known server: %w", err)
	}
	return nil
}

// Is reports whether the server has or had this id.
func (k KnownServer) Is(id NodeID) bool {
	return !id.IsZero() && (k.Invitation.Server == id || slices.Contains(k.Before, id))
}

// Spend notes that the server has admitted the node that had this secret, which must not be sent again. The
// secret itself is not kept.
func (k *KnownServer) Spend(secret []byte) {
	if len(secret) > 0 {
		k.spent = fingerprint(secret)
	}
}

// Spent reports whether this secret is not needed: it is empty, or was noted by Spend.
func (k KnownServer) Spent(secret []byte) bool {
	return len(secret) == 0 || k.spent == fingerprint(secret)
}

// Follow notes that the server has proved the id now, and has announced next; zero: none. It is an error if
// now is neither the present id nor the announced one.
func (k *KnownServer) Follow(now, next NodeID) error {
	switch {
	case now == k.Invitation.Server:
	case now == k.Next && !now.IsZero():
		k.Before = append(slices.Clone(k.Before), k.Invitation.Server)
		k.Before = k.Before[max(0, len(k.Before)-maxBefore):]
		k.Invitation.Server = now
	default:
		return &WrongServerError{Want: k.Invitation.Server, Got: now}
	}
	k.Next = next
	return nil
}

// Equal reports whether both are stored the same.
func (k KnownServer) Equal(other KnownServer) bool {
	a, b := k.Invitation, other.Invitation
	return a.Server == b.Server && a.Host == b.Host && a.Port == b.Port && k.Next == other.Next &&
		slices.Equal(k.Before, other.Before) && k.spent == other.spent
}

// fingerprint is what is kept of an unguessable secret: enough to recognise it.
func fingerprint(secret []byte) string {
	sum := sha256.Sum256(append([]byte("apquic/1 spent\x00"), secret...))
	return hex.EncodeToString(sum[:8])
}
