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
	maxAuthorizedFile = 4 << 20 // bytes: about 50000 nodes

	// readPause is the least time between two reads of the file, however often it changes or somebody asks.
	readPause = time.Second
	// settleTime is how long a file must be unchanged before its time and size identify its version: file
	// systems count time in steps of up to 2 s.
	settleTime = 2 * time.Second
)

// ErrNoNode says that a text is neither the name of a node nor an id.
var ErrNoNode = errors.New("it is not a node id either")

// AuthorizedNode is what the operator of a server says about a node: a line of [AuthorizedNodes].
type AuthorizedNode struct {
	ID     NodeID
	Name   string    // one line of printable characters; may be empty
	Denied bool      // shut out, whatever other lines say
	Joined time.Time // when an invitation admitted it; zero: its id was written by hand
	Port   uint16    // the public port for its first service; 0: any
}

// AuthorizedNodes is the file of nodes that a server serves, in the manner of SSH: each line is a node id
// followed by the node's name; -ID shuts a node out, whatever other lines say. Empty lines and lines that
// begin with # are ignored. People edit it while the server runs. Safe for concurrent use, even by several
// processes.
type AuthorizedNodes struct {
	path string

	// turn holds one token, owned by whoever uses the fields below. It is a channel so that a context can end
	// the wait.
	turn     chan struct{}
	nodes    map[NodeID]AuthorizedNode // content of the file in the state info
	names    map[string]NodeID         // of nodes; zero: of several; nil: to be made from nodes
	badLines error                     // in it
	info     fs.FileInfo               // nil: there was no file
	sum      [sha256.Size]byte         // of its content when it was read
	readAt   time.Time                 // zero: never
	revision uint64
}

// NewAuthorizedNodes returns the nodes in the file path, which is not opened yet. A missing file means no
// nodes, unless it had nodes before: a file that vanishes is an error, like one that cannot be read.
func NewAuthorizedNodes(path string) *AuthorizedNodes {
	return &AuthorizedNodes{path: path, turn: make(chan struct{}, 1)}
}

// Lookup returns what the file now says about id: the file is read again if it changed. known is false for a
// node that it does not name.
//
// An invalid line does not hide the others: the answer is right, and comes with an error that names the
// invalid lines, each time until they are gone. If the file cannot be read or others can write it, no node is
// known.
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

// All returns all nodes of the file, sorted by name and id, with the errors of Lookup.
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

// Revision is a number that changes whenever the content of the file changes, with the errors of Lookup.
// After an error it is unchanged: a file that cannot be read says nothing.
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

// withTurn calls use once nobody else uses a.
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
		if len(a.nodes) > 0 { // an accident, or a lost disk: it says nothing about the nodes
			return hint.Add(fmt.Errorf("%s has vanished", a.path),
				"restore %s from a backup; to shut out every node, make it an empty file", a.path)
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
	// The state of the file before reading it, so that a change meanwhile shows later.
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

// take replaces the known nodes with those in content.
func (a *AuthorizedNodes) take(content []byte, info fs.FileInfo, readAt time.Time) {
	sum := sha256.Sum256(content)
	if a.nodes == nil || sum != a.sum {
		a.nodes, a.badLines = parseAuthorized(a.path, content)
		a.names = nil
		a.sum = sum
		a.revision++
	}
	a.info, a.readAt = info, readAt
}

// hasRead reports whether info is that of the content read. A file written just before it was read, or in the
// future, may have changed without showing it; it is read again once that would show.
func (a *AuthorizedNodes) hasRead(info fs.FileInfo) bool {
	same := a.info != nil && os.SameFile(info, a.info) && info.Size() == a.info.Size() && info.ModTime().Equal(a.info.ModTime())
	settled := same && a.readAt.Sub(info.ModTime()) > settleTime
	return settled || same && time.Since(a.readAt) < settleTime
}
