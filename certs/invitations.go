package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"apquic/internal/hint"
)

const (
	joinSecretSize     = 16 // bytes
	maxInvitations     = 256
	maxInvitationsFile = 256 << 10 // bytes
	// Limits of one invitation.
	MaxInvitationUses = 1000
	MaxInvitationTime = 366 * 24 * time.Hour
)

var (
	// ErrNoInvitation says that a secret belongs to no invitation: it was used up or withdrawn, has expired,
	// or never existed.
	ErrNoInvitation = errors.New("its invitation was used up or withdrawn, or has expired")
	// ErrInvitationName says that there is no invitation with this name, or already one.
	ErrInvitationName = errors.New("invitation name")
)

// OpenInvitation is an invitation that admits nodes.
type OpenInvitation struct {
	Name    string    `json:"name"` // and of the node
	Uses    int       `json:"uses"` // left
	Expires time.Time `json:"expires"`
	Port    uint16    `json:"port,omitempty"` // the public port for the node's first service; 0: any
	Created time.Time `json:"created"`
	Joined  int       `json:"joined,omitempty"` // nodes that it admitted
}

// storedInvitation is an invitation as in the file. The secret itself is not stored, so that nobody can join
// with the file or a backup of it. A plain SHA-256 is enough for that, since 128 random bits cannot be
// guessed; slow hashes are for secrets that people choose.
type storedInvitation struct {
	OpenInvitation
	Hash string `json:"secretSHA256"` // in hexadecimal digits
}

// Invitations is the file of a server's open invitations, one JSON object per line. Safe for concurrent use
// within a process; if two processes change it at the same moment, one may lose its change.
type Invitations struct {
	path string

	mu sync.Mutex // held while the file is read and replaced
}

// NewInvitations returns the invitations in the file path, which is not opened yet. A missing file means
// none.
func NewInvitations(path string) *Invitations { return &Invitations{path: path} }

// Create adds an invitation and returns its secret, which is available only now. An empty name becomes
// node-1, node-2 and so on; taken says which names are in use elsewhere.
func (i *Invitations) Create(offer OpenInvitation, taken func(name string) bool) (OpenInvitation, []byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	all, err := i.read()
	if err != nil {
		return OpenInvitation{}, nil, err
	}
	if offer.Name == "" {
		offer.Name = freeName(madeUp, 1, func(name string) bool { return taken(name) || indexOf(all, name) >= 0 })
	}
	offer.Created, offer.Expires, offer.Joined = joinedAt(time.Now()), joinedAt(offer.Expires), 0
	if err := offer.check(); err != nil {
		return OpenInvitation{}, nil, err
	}
	if indexOf(all, offer.Name) >= 0 {
		return OpenInvitation{}, nil, hint.Add(fmt.Errorf("%w %s: an open invitation already has it", ErrInvitationName, offer.Name),
			"choose another name, or withdraw the old one: apquic-server invitation --withdraw %s", offer.Name)
	}
	if len(all) >= maxInvitations {
		return OpenInvitation{}, nil, hint.Add(fmt.Errorf("there are already %d invitations", len(all)), "withdraw some")
	}
	secret := make([]byte, joinSecretSize)
	rand.Read(secret) // never fails, as documented
	if err := i.write(append(all, storedInvitation{offer, hashSecret(secret)})); err != nil {
		return OpenInvitation{}, nil, err
	}
	return offer, secret, nil
}

func (o OpenInvitation) check() error {
	if err := CheckName(o.Name); err != nil {
		return err
	}
	left := o.Expires.Sub(o.Created)
	switch {
	case o.Uses < 1 || o.Uses > MaxInvitationUses:
		return fmt.Errorf("an invitation admits 1 to %d nodes, not %d", MaxInvitationUses, o.Uses)
	case left <= 0 || left > MaxInvitationTime:
		return fmt.Errorf("an invitation must expire within %d days", MaxInvitationTime/(24*time.Hour))
	}
	return nil
}

// Open returns the invitations that can still be used, in the order in which they were made.
func (i *Invitations) Open() ([]OpenInvitation, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	all, err := i.read()
	open := make([]OpenInvitation, len(all))
	for n, stored := range all {
		open[n] = stored.OpenInvitation
	}
	return open, err
}

// Withdraw ends an invitation: from now on it admits nobody.
func (i *Invitations) Withdraw(name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	all, err := i.read()
	if err != nil {
		return err
	}
	n := indexOf(all, name)
	if n < 0 {
		return hint.Add(fmt.Errorf("%w %q: no open invitation has it", ErrInvitationName, hint.Printable(name, maxName)), "apquic-server invitation lists all of them")
	}
	return i.write(slices.Delete(all, n, n+1))
}

// Has reports whether an invitation has this secret.
func (i *Invitations) Has(secret []byte) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	all, err := i.read()
	return indexOfSecret(all, secret) >= 0, err
}

// Use admits one node with secret: join gets the invitation and stores that the node is admitted. Before that
// the use is removed from the file, so that even after a power cut no more nodes are admitted than the
// invitation has uses; a power cut in between costs a use. The use is restored if join fails.
// ErrNoInvitation: the secret is worthless.
func (i *Invitations) Use(secret []byte, join func(OpenInvitation) error) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	before, err := i.read()
	if err != nil {
		return err
	}
	n := indexOfSecret(before, secret)
	if n < 0 {
		return ErrNoInvitation
	}
	after := slices.Clone(before)
	after[n].Joined++
	if after[n].Uses--; after[n].Uses == 0 {
		after = slices.Delete(after, n, n+1)
	}
	if err := i.write(after); err != nil {
		return err
	}
	if err := join(before[n].OpenInvitation); err != nil {
		return errors.Join(err, i.write(before))
	}
	return nil
}

func hashSecret(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// indexOfSecret is -1 if there is none. It looks at all of them, so that its timing reveals nothing.
func indexOfSecret(all []storedInvitation, secret []byte) int {
	hash, found := []byte(hashSecret(secret)), -1
	for n, stored := range all {
		if subtle.ConstantTimeCompare(hash, []byte(stored.Hash)) == 1 {
			found = n
		}
	}
	return found
}

func indexOf(all []storedInvitation, name string) int {
	return slices.IndexFunc(all, func(stored storedInvitation) bool { return stored.Name == name })
}

// madeUp begins the names of nodes that nobody has named.
const madeUp = "node"

// isMadeUp reports whether nobody chose a name.
func isMadeUp(name string) bool {
	number, ok := strings.CutPrefix(name, madeUp+"-")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// freeName is prefix-number with the first free number.
func freeName(prefix string, number int, taken func(string) bool) string {
	for ; ; number++ {
		if name := prefix + "-" + strconv.Itoa(number); !taken(name) {
			return name
		}
	}
}

// read returns the invitations in the file that have not expired.
func (i *Invitations) read() ([]storedInvitation, error) {
	file, err := os.Open(i.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = checkWriters(i.path, info)
	}
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxInvitationsFile+1))
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	all, err := parseInvitations(content)
	if err != nil {
		return nil, hint.Add(fmt.Errorf("invitations: %s: %w", i.path, err), "remove %s: nodes that were admitted stay so", i.path)
	}
	now := time.Now()
	return slices.DeleteFunc(all, func(o storedInvitation) bool { return !o.Expires.After(now) }), nil
}

// parseInvitations reads the content of the file. Errors do not repeat it.
func parseInvitations(content []byte) (all []storedInvitation, err error) {
	if len(content) > maxInvitationsFile {
		return nil, fmt.Errorf("more than %d bytes", maxInvitationsFile)
	}
	number := 0
	for line := range bytes.Lines(content) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var stored storedInvitation
		if err := json.Unmarshal(line, &stored); err != nil {
			return nil, fmt.Errorf("line %d is not an invitation", number)
		}
		if err := stored.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if hash, err := hex.DecodeString(stored.Hash); err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("line %d: no SHA-256 of a secret", number)
		}
		if indexOf(all, stored.Name) >= 0 || len(all) >= maxInvitations {
			return nil, fmt.Errorf("line %d: a duplicate name, or too many invitations", number)
		}
		all = append(all, stored)
	}
	return all, nil
}

func (i *Invitations) write(all []storedInvitation) error {
	var content bytes.Buffer
	for _, stored := range all {
		line, err := json.Marshal(stored)
		if err != nil {
			return fmt.Errorf("invitations: %w", err)
		}
		content.Write(append(line, '\n'))
	}
	if err := ReplaceFile(i.path, content.Bytes()); err != nil {
		return fmt.Errorf("invitations: %w", err)
	}
	return nil
}
