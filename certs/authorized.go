package certs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"apquic/internal/hint"
)

const (
	maxAuthorizedFile = 4 << 20 // bytes: some 50000 nodes

	// readPause is how long the file is left alone after it was read: whoever makes it change again and again, or
	// asks again and again, costs no more than that.
	readPause = time.Second
	// settleTime is how long a file must have been left alone until its time and size tell every version apart: file
	// systems count time in steps of up to 2 s.
	settleTime = 2 * time.Second
)

// ErrNoNode says that a text is neither the name of a node nor an id.
var ErrNoNode = errors.New("it is no node id either")

// AuthorizedNode is what the operator of a server says of a node: a line of [AuthorizedNodes].
type AuthorizedNode struct {
	ID     NodeID
	Name   string    // one line of printable characters; may be empty
	Denied bool      // sent away, whatever else is said
	Joined time.Time // when an invitation let it in; zero: its id was written by hand
	Port   uint16    // the public port for its first service; 0: any
}

// AuthorizedNodes is the file of the nodes that a server serves, in the manner of SSH: a node id begins each line,
// its name is the rest; -ID sends a node away, whatever other lines say. Empty lines and lines that begin with # do
// not count. People edit it while the server runs. Safe for concurrent use, also by many processes.
type AuthorizedNodes struct {
	path string

	// turn holds one token, of who uses the fields below. A channel, so that a wait for it ends with a context.
	turn     chan struct{}
	nodes    map[NodeID]AuthorizedNode // what the file held when it was as in info
	badLines error                     // in it
	info     fs.FileInfo               // nil: there was no file
	sum      [sha256.Size]byte         // of its content when it was read
	readAt   time.Time                 // zero: never
	revision uint64
}

// NewAuthorizedNodes returns the nodes in the file path, which is not opened yet. No such file means no nodes, as long as
// there was none with nodes: one that goes is an error, like one that cannot be read.
func NewAuthorizedNodes(path string) *AuthorizedNodes {
	return &AuthorizedNodes{path: path, turn: make(chan struct{}, 1)}
}

// Lookup returns what the file says of id now: the file is read again if it changed. known is false for a node that
// it does not name.
//
// A wrong line does not hide the others: the answer is right, and the error that comes with it names the wrong lines,
// each time until they are gone. If the file cannot be read or others may write it, no node is known.
//
// The file is read once a second at most; a call that needs it sooner waits, or ends with ctx.
func (a *AuthorizedNodes) Lookup(ctx context.Context, id NodeID) (node AuthorizedNode, known bool, err error) {
	err = a.withTurn(ctx, func() error {
		if err := a.refresh(ctx); err != nil {
			return err
		}
		node, known = a.nodes[id]
		return a.badLines
	})
	return node, known, err
}

// All returns all nodes of the file by name and id, with the errors of Lookup.
func (a *AuthorizedNodes) All(ctx context.Context) (nodes []AuthorizedNode, err error) {
	err = a.withTurn(ctx, func() error {
		if err := a.refresh(ctx); err != nil {
			return err
		}
		nodes = slices.SortedFunc(maps.Values(a.nodes), func(a, b AuthorizedNode) int {
			if byName := strings.Compare(a.Name, b.Name); byName != 0 {
				return byName
			}
			return strings.Compare(a.ID.String(), b.ID.String())
		})
		return a.badLines
	})
	return nodes, err
}

// Revision is another number whenever the file says something else than before, with the errors of Lookup. An error
// keeps the number: a file that cannot be read says nothing.
func (a *AuthorizedNodes) Revision(ctx context.Context) (revision uint64, err error) {
	err = a.withTurn(ctx, func() error {
		err := a.refresh(ctx)
		revision = a.revision
		if err == nil {
			err = a.badLines
		}
		return err
	})
	return revision, err
}

// withTurn calls use when nobody else uses a.
func (a *AuthorizedNodes) withTurn(ctx context.Context, use func() error) error {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return fmt.Errorf("authorized nodes: waiting for the file: %w", context.Cause(ctx))
	}
	if err := use(); err != nil {
		return fmt.Errorf("authorized nodes: %w", err)
	}
	return nil
}

// refresh brings nodes up to date with the file. It needs the turn.
func (a *AuthorizedNodes) refresh(ctx context.Context) error {
	info, err := os.Stat(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		if len(a.nodes) > 0 { // an accident, or a disk that is gone: it says nothing about the nodes
			return hint.Add(fmt.Errorf("%s was there and is gone", a.path),
				"bring %s back from a backup; an empty file is what sends every node away", a.path)
		}
		a.take(nil, nil, time.Time{})
		return nil
	}
	if err != nil {
		return err
	}
	if err := checkWriters(a.path, info); err != nil {
		return err
	}
	if a.hasRead(info) {
		return nil
	}
	if pause := time.Until(a.readAt.Add(readPause)); pause > 0 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("waiting to read %s again: %w", a.path, context.Cause(ctx))
		}
	}
	return a.read()
}

func (a *AuthorizedNodes) read() error {
	file, err := os.Open(a.path)
	if err != nil {
		return err
	}
	defer file.Close()
	// The state of the file before it is read: a change meanwhile shows later.
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", a.path)
	}
	readAt := time.Now()
	content, err := io.ReadAll(io.LimitReader(file, maxAuthorizedFile+1))
	if err != nil {
		return err
	}
	if len(content) > maxAuthorizedFile {
		return tooLarge(a.path)
	}
	a.take(content, info, readAt)
	return nil
}

// take replaces what is known by what content says.
func (a *AuthorizedNodes) take(content []byte, info fs.FileInfo, readAt time.Time) {
	sum := sha256.Sum256(content)
	if a.nodes == nil || sum != a.sum {
		a.nodes, a.badLines = parseAuthorized(a.path, content)
		a.sum = sum
		a.revision++
	}
	a.info, a.readAt = info, readAt
}

// hasRead reports whether info belongs to what was read. A file that was written just before it was read, or in the
// future, may have changed without showing it; it is read again when that would show.
func (a *AuthorizedNodes) hasRead(info fs.FileInfo) bool {
	same := a.info != nil && os.SameFile(info, a.info) && info.Size() == a.info.Size() && info.ModTime().Equal(a.info.ModTime())
	settled := same && a.readAt.Sub(info.ModTime()) > settleTime
	return settled || same && time.Since(a.readAt) < settleTime
}
