package limits

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/rules"
)

// Name is that of the file in the data directory.
const Name = "limits"

// MaxSize bounds the file, in bytes.
const MaxSize = 4 << 20

const header = "# What apquic-server limit says of single nodes, before the rules of the file. A line is: ID KEY=VALUE ...\n"

// File is what the operator said. Its methods may be called concurrently.
type File struct {
	path string

	mu    sync.Mutex
	nodes map[certs.NodeID]Words
	own   rules.Own // the same, as package rules knows it; replaced, never changed
}

// Open reads the file at path, which may be missing.
func Open(path string) (*File, error) {
	f := &File{path: path}
	return f, f.Reload(func(rules.Own) {})
}

// Path is that of the file.
func (f *File) Path() string { return f.path }

// Reload reads the file again and calls use with all limits; after an error nothing has changed.
func (f *File) Reload(use func(rules.Own)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	nodes, own, err := read(f.path)
	if err != nil {
		return err
	}
	f.nodes, f.own = nodes, own
	use(own)
	return nil
}

// Own are the limits, which nobody may change.
func (f *File) Own() rules.Own {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.own
}

// All returns what was said, by node; nobody may change the Words.
func (f *File) All() map[certs.NodeID]Words {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.nodes)
}

// Change adds to what was said of a node, or first forgets that; an empty value takes a key away. It returns what is
// said of the node now, once that is on disk and use was called with all limits. Of several calls one comes after the
// other. After an error nothing has changed.
func (f *File) Change(node certs.NodeID, clear bool, add Words, use func(rules.Own)) (now Words, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now = make(Words)
	if !clear {
		maps.Copy(now, f.nodes[node])
	}
	maps.Copy(now, add)
	if err := checkKeys(add); err != nil {
		return nil, err
	}
	maps.DeleteFunc(now, func(_, value string) bool { return value == "" })
	said, err := Read(now)
	if err != nil {
		return nil, err
	}
	nodes, own := maps.Clone(f.nodes), maps.Clone(f.own)
	if nodes[node], own[node] = now, said; len(now) == 0 {
		delete(nodes, node)
		delete(own, node)
	}
	text := write(nodes)
	if len(text) > MaxSize {
		return nil, hint.Add(fmt.Errorf("the limits of %d nodes have %d bytes, but only %d are allowed", len(nodes), len(text), MaxSize),
			"write a rule for many nodes into the configuration instead")
	}
	if err := certs.ReplaceFile(f.path, text); err != nil {
		return nil, fmt.Errorf("storing the limits: %w", err)
	}
	f.nodes, f.own = nodes, own
	use(own)
	return now, nil
}

// checkKeys returns what is wrong with keys of which some values are empty.
func checkKeys(words Words) error {
	known := Keys()
	for _, key := range slices.Sorted(maps.Keys(words)) {
		if !slices.Contains(known, key) && words[key] == "" {
			return hint.Add(fmt.Errorf("%s is no limit", hint.Readable(key)), "the limits are %s", strings.Join(known, ", "))
		}
	}
	return nil
}

func write(nodes map[certs.NodeID]Words) []byte {
	text := []byte(header)
	ids := slices.SortedFunc(maps.Keys(nodes), func(a, b certs.NodeID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		text = fmt.Appendln(text, id, nodes[id])
	}
	return text
}

// read returns what a file says.
func read(path string) (map[certs.NodeID]Words, rules.Own, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return make(map[certs.NodeID]Words), make(rules.Own), nil
	}
	if err == nil && info.Size() > MaxSize {
		err = fmt.Errorf("%s: it has more than %d bytes", path, MaxSize)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the limits of nodes: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the limits of nodes: %w", err)
	}
	nodes, own := make(map[certs.NodeID]Words), make(rules.Own)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if err := readLine(line, nodes, own); err != nil {
			return nil, nil, hint.Add(fmt.Errorf("%s:%d: %w", path, number, err), "correct the line or remove it")
		}
	}
	return nodes, own, nil
}

func readLine(line string, nodes map[certs.NodeID]Words, own rules.Own) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil
	}
	id, err := certs.ParseNodeID(fields[0])
	switch {
	case err != nil:
		return fmt.Errorf("%s is not the id of a node: %w", hint.Readable(fields[0]), err)
	case nodes[id] != nil:
		return fmt.Errorf("another line is about %v", id)
	case len(fields) == 1:
		return errors.New("it says nothing")
	}
	words, err := Pairs(fields[1:])
	if err != nil {
		return err
	}
	nodes[id] = words
	own[id], err = Read(words)
	return err
}
