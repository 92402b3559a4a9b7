package certs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"apquic/internal/hint"
)

// Add appends node to the file unless it is already there; a missing file is created, mode 0600. The line is
// on disk when Add returns. It is appended in one write, so nothing is lost of what other programs and people
// write. At most 200 bytes of the name are kept, as one line of printable characters; if another node has the
// name, it gets a number. Add returns the node as it is in the file.
func (a *AuthorizedNodes) Add(ctx context.Context, node AuthorizedNode) (AuthorizedNode, error) {
	if node.ID.IsZero() {
		return AuthorizedNode{}, errors.New("authorized nodes: there is no node id to add")
	}
	err := a.withTurn(ctx, func() error {
		if err := a.refresh(ctx); err != nil {
			return err
		}
		if was, ok := a.nodes[node.ID]; ok {
			node = was
			return nil
		}
		node.Name = a.uniqueName(node.Name)
		if err := a.append(node); err != nil {
			return err
		}
		node, _ = parseAuthorizedLine(node.line())
		return nil
	})
	return node, err
}

// uniqueName is name, or name-2, name-3 and so on if nodes have that. It needs the turn.
func (a *AuthorizedNodes) uniqueName(name string) string {
	name = cleanName(name)
	taken := make(map[string]bool)
	for _, node := range a.nodes {
		taken[node.Name] = true
	}
	if name == "" || !taken[name] {
		return name
	}
	return freeName(name, 2, func(name string) bool { return taken[name] })
}

// append adds a line for node and keeps the known nodes up to date, so that joining nodes do not cause the
// file to be read again. It needs the turn.
func (a *AuthorizedNodes) append(node AuthorizedNode) error {
	line := node.line()
	info, written, err := appendLine(a.path, line)
	if err != nil {
		return fmt.Errorf("add %v: %w", node.ID, err)
	}
	before := int64(0)
	if a.info != nil {
		before = a.info.Size()
	}
	if info.Size() == before+int64(written) {
		a.nodes[node.ID], _ = parseAuthorizedLine(line)
		a.names = nil
		a.info, a.readAt, a.sum = info, time.Now(), [sha256.Size]byte{}
		if node.Denied {
			a.revision++ // the node may already be connected
		}
	}
	return nil
}

// Allow makes the file name node and no longer deny it. Existing lines for it stay as they are, except for
// the sign before the id.
func (a *AuthorizedNodes) Allow(ctx context.Context, node AuthorizedNode) error {
	node.Denied = false
	return a.change(ctx, node, func(was AuthorizedNode) AuthorizedNode {
		was.Denied = false
		if node.Name != "" {
			was.Name = node.Name
		}
		return was
	})
}

// Deny makes the file shut out the node with this id.
func (a *AuthorizedNodes) Deny(ctx context.Context, id NodeID) error {
	return a.change(ctx, AuthorizedNode{ID: id, Denied: true}, func(was AuthorizedNode) AuthorizedNode {
		was.Denied = true
		return was
	})
}

// change replaces the lines of a node with one, which change makes from them; a node without a line gets
// node's. After a power cut the file is the old one or the new one. Whoever writes it at the very same time
// may lose their change, as with two editors.
func (a *AuthorizedNodes) change(ctx context.Context, node AuthorizedNode, change func(was AuthorizedNode) AuthorizedNode) error {
	if node.ID.IsZero() {
		return errors.New("authorized nodes: there is no node id to change")
	}
	return a.withTurn(ctx, func() error {
		if err := a.refresh(ctx); err != nil {
			return err
		}
		was, known := a.nodes[node.ID]
		if !known {
			return a.append(node)
		}
		want := change(was)
		if want == was {
			return nil
		}
		content, err := os.ReadFile(a.path)
		if err != nil {
			return err
		}
		return ReplaceFile(a.path, []byte(replaceLines(string(content), want)))
	})
}

// replaceLines replaces the first line of node in content, and removes its other lines.
func replaceLines(content string, node AuthorizedNode) string {
	var b strings.Builder
	done := false
	for line := range strings.Lines(content) {
		switch other, _ := parseAuthorizedLine(strings.TrimPrefix(line, "\ufeff")); {
		case other.ID != node.ID:
			b.WriteString(line)
		case !done:
			done = true
			b.WriteString(node.line())
		}
	}
	return b.String()
}

// Find returns the node that who means: an id, or the name of exactly one node. An id that is in no line is
// also found, without a name.
func (a *AuthorizedNodes) Find(ctx context.Context, who string) (AuthorizedNode, error) {
	nodes, err := a.All(ctx)
	if nodes == nil && err != nil {
		return AuthorizedNode{}, err
	}
	var found []AuthorizedNode
	id, notID := decodeNodeID(who)
	for _, node := range nodes {
		if node.ID == id || notID != nil && node.Name == who {
			found = append(found, node)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case notID == nil:
		return AuthorizedNode{ID: id}, nil
	case len(found) == 0:
		return AuthorizedNode{}, hint.Add(fmt.Errorf("no node is called %q, and %w", hint.Printable(who, maxName), ErrNoNode),
			"apquic-server nodes lists all nodes")
	}
	ids := make([]string, len(found))
	for i, node := range found {
		ids[i] = node.ID.String()
	}
	return AuthorizedNode{}, hint.Add(fmt.Errorf("%d nodes are called %q: %s", len(found), hint.Printable(who, maxName), strings.Join(ids, ", ")),
		"say which one by its id")
}

// appendLine appends line, which ends with a newline, to the file path. It returns the resulting state of the
// file, and how many bytes it wrote.
func appendLine(path, line string) (info fs.FileInfo, written int, err error) {
	directory := filepath.Dir(path)
	if err = os.MkdirAll(directory, 0o700); err != nil {
		return nil, 0, err
	}
	file, err := openToAppend(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if info, err = file.Stat(); err != nil {
		return nil, 0, err
	}
	size := info.Size()
	if size+int64(len(line))+1 > maxAuthorizedFile {
		return nil, 0, tooLarge(path)
	}
	if size > 0 {
		ended, err := endsWithNewline(file, size)
		if err != nil {
			return nil, 0, err
		}
		if !ended {
			line = "\n" + line
		}
	} else if err := GiveTo(file, directory); err != nil { // it may have just been created
		return nil, 0, err
	}
	if _, err := file.WriteString(line); err != nil {
		return nil, 0, errors.Join(err, file.Truncate(size)) // leaves no partial line
	}
	if err := file.Sync(); err != nil {
		return nil, 0, err
	}
	if size == 0 {
		if err := syncDirectory(directory); err != nil {
			return nil, 0, err
		}
	}
	info, err = file.Stat()
	return info, len(line), err
}

func endsWithNewline(file io.ReaderAt, size int64) (bool, error) {
	var last [1]byte
	_, err := file.ReadAt(last[:], size-1)
	return last[0] == '\n', err
}

func tooLarge(path string) error {
	return hint.Add(fmt.Errorf("%s: more than %d bytes", path, maxAuthorizedFile), "remove lines that nobody needs from %s", path)
}

// joinedAt is a time as it is read back from a file.
func joinedAt(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
