package certs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"apquic/internal/hint"
)

// maxKnownNodes bounds the file of known nodes, in bytes: about 10000 names.
const maxKnownNodes = 1 << 20

// KnownNodes remembers which node a name meant when it was first used, in the manner of SSH's known hosts: a server
// says what a name means, and could lie. The file has a line NAME ID for each. Safe for concurrent use, also by
// several processes.
type KnownNodes struct {
	path string

	mu    sync.Mutex
	names map[string]NodeID
}

// NewKnownNodes returns those in the file path, which is not opened yet; without a path they are only in memory.
func NewKnownNodes(path string) *KnownNodes {
	return &KnownNodes{path: path, names: make(map[string]NodeID)}
}

// ChangedNodeError says that a name means another node than it did.
type ChangedNodeError struct {
	Name       string
	Known, Now NodeID
	path       string
}

func (e *ChangedNodeError) Error() string {
	return fmt.Sprintf("the server says that %s is now the node %v, but it was %v", e.Name, e.Now, e.Known)
}

// Hint says what to do when it is right.
func (e *ChangedNodeError) Hint() string {
	if e.path == "" {
		return "the server may be lying; use the id instead of the name if it is not"
	}
	return fmt.Sprintf("if %s was set up anew and has a new key, remove its line from %s; otherwise the server, or somebody in its place, is lying", e.Name, e.path)
}

// Check returns a [*ChangedNodeError] if name meant another node before. A name that is new means id from now on, and
// first is true.
func (k *KnownNodes) Check(name string, id NodeID) (first bool, err error) {
	if err := CheckName(name); err != nil {
		return false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.readLocked(); err != nil {
		return false, hint.Add(fmt.Errorf("the known nodes: %w", err), "correct or remove %s", k.path)
	}
	switch known, ok := k.names[name]; {
	case ok && known == id:
		return false, nil
	case ok:
		return false, &ChangedNodeError{Name: name, Known: known, Now: id, path: k.path}
	}
	if k.path != "" {
		if _, _, err := appendLine(k.path, name+" "+id.String()+"\n"); err != nil {
			return false, fmt.Errorf("the known nodes: %w", err)
		}
	}
	k.names[name] = id
	return true, nil
}

// readLocked reads what the file says now.
func (k *KnownNodes) readLocked() error {
	if k.path == "" {
		return nil
	}
	file, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		clear(k.names)
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxKnownNodes+1))
	if err != nil {
		return err
	}
	if len(content) > maxKnownNodes {
		return fmt.Errorf("%s: more than %d bytes", k.path, maxKnownNodes)
	}
	k.names, err = parseKnownNodes(k.path, content)
	return err
}

// parseKnownNodes reads lines NAME ID; the first one of a name counts.
func parseKnownNodes(path string, content []byte) (map[string]NodeID, error) {
	names, number := make(map[string]NodeID), 0
	for line := range bytes.Lines(content) {
		number++
		words := strings.Fields(string(line))
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("%s:%d: want a name and an id", path, number)
		}
		id, err := decodeNodeID(words[1])
		if err = errors.Join(CheckName(words[0]), err); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if _, twice := names[words[0]]; !twice {
			names[words[0]] = id
		}
	}
	return names, nil
}
