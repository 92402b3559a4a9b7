package limits

import (
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
	text  string // of the file, when it was read or written last
	nodes map[certs.NodeID]Words
	own   rules.Own // the same, as package rules knows it; replaced, never changed
}

// Open reads the file at path, which may be missing.
func Open(path string) (*File, error) {
	f := &File{path: path, nodes: make(map[certs.NodeID]Words), own: make(rules.Own)}
	return f, f.Reload(func(rules.Own) error { return nil })
}

// Path is that of the file.
func (f *File) Path() string { return f.path }

// Reload reads the file again and calls use with all limits; after an error, also one of use, nothing has changed.
func (f *File) Reload(use func(rules.Own) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, nodes, own, err := f.lookLocked()
	if err == nil {
		err = use(own)
	}
	if err != nil {
		return err
	}
	f.text, f.nodes, f.own = text, nodes, own
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

// Change adds to what the file says of a node, or first forgets that; an empty value takes a key away. It returns what is
// said of the node now, once that is on disk and use was called with all limits: also with those that somebody has written
// into the file meanwhile, of which the other lines stay as they are. Of several calls one comes after the other. After an
// error nothing has changed.
func (f *File) Change(node certs.NodeID, clear bool, add Words, use func(rules.Own)) (now Words, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := checkKeys(add); err != nil {
		return nil, err
	}
	text, nodes, own, err := f.lookLocked()
	if err != nil {
		return nil, err
	}
	now = make(Words)
	if !clear {
		maps.Copy(now, nodes[node])
	}
	maps.Copy(now, add)
	maps.DeleteFunc(now, func(_, value string) bool { return value == "" })
	said, err := Read(now)
	if err != nil {
		return nil, err
	}
	if nodes[node], own[node] = now, said; len(now) == 0 {
		delete(nodes, node)
		delete(own, node)
	}
	text = edit(text, node, now)
	if len(text) > MaxSize {
		return nil, hint.Add(fmt.Errorf("the limits of %d nodes have %d bytes, but only %d are allowed", len(nodes), len(text), MaxSize),
			"write a rule for many nodes into the configuration instead")
	}
	if err := certs.ReplaceFile(f.path, []byte(text)); err != nil {
		return nil, fmt.Errorf("storing the limits: %w", err)
	}
	f.text, f.nodes, f.own = text, nodes, own
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

// edit returns the text of a file with what is said of a node, if anything is, in its line or in a new one.
func edit(text string, node certs.NodeID, words Words) string {
	line := fmt.Sprintln(node, words)
	if len(words) == 0 {
		line = ""
	}
	var b strings.Builder
	for other := range strings.Lines(text) {
		if !isOf(other, node) {
			b.WriteString(strings.TrimSuffix(other, "\n") + "\n")
			continue
		}
		b.WriteString(line)
		line = ""
	}
	return b.String() + line
}

// lookLocked returns the text of the file now, and what it says, which is read only if the text is another one.
func (f *File) lookLocked() (text string, nodes map[certs.NodeID]Words, own rules.Own, err error) {
	if text, err = load(f.path); err != nil {
		return "", nil, nil, fmt.Errorf("reading the limits of nodes: %w", err)
	}
	if text == f.text {
		return text, maps.Clone(f.nodes), maps.Clone(f.own), nil
	}
	nodes, own = make(map[certs.NodeID]Words), make(rules.Own)
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := readLine(line, nodes, own); err != nil {
			return "", nil, nil, hint.Add(fmt.Errorf("%s:%d: %w", f.path, number, err), "correct the line or remove it")
		}
	}
	return text, nodes, own, nil
}

// load returns the text of a file.
func load(path string) (text string, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return header, nil
	case err != nil:
		return "", err
	case info.Size() > MaxSize:
		return "", fmt.Errorf("%s: it has more than %d bytes", path, MaxSize)
	}
	content, err := os.ReadFile(path)
	return string(content), err
}

// isOf reports whether a line is that of a node, whose id a person may have written in another way.
func isOf(line string, node certs.NodeID) bool {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return false
	}
	id, err := certs.ParseNodeID(fields[0])
	return err == nil && id == node
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
