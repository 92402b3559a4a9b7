package certs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	maxAuthorizedFile = 4 << 20 // bytes: some 50000 nodes
	maxComment        = 200     // bytes
	maxNamedLines     = 10      // in one error

	// settleTime is how long a file must be left alone until its time and size
	// tell every version apart: file systems count time in steps of up to 2 s.
	settleTime = 2 * time.Second
)

// AuthorizedNodes is the file of the nodes that a server serves, in the manner
// of SSH: one node id per line, the rest of the line is a comment; empty lines
// and lines that begin with # do not count. People edit it while the server
// runs. Safe for concurrent use, also by many processes.
type AuthorizedNodes struct {
	path string

	mu       sync.Mutex
	nodes    map[NodeID]struct{} // what the file held when it was as in info
	badLines error               // in it
	info     fs.FileInfo         // nil: nothing read
	readAt   time.Time
}

// NewAuthorizedNodes returns the nodes in the file path, which is not opened
// yet. No such file means no nodes.
func NewAuthorizedNodes(path string) *AuthorizedNodes { return &AuthorizedNodes{path: path} }

// Contains reports whether id is in the file as it is now: the file is read
// again if its time or size changed. So a line that somebody removes counts no
// more at once.
//
// A wrong line does not hide the others: the answer is right, and the error that
// comes with it names the wrong lines, each time until they are gone. If the file
// cannot be read, the answer is false.
func (a *AuthorizedNodes) Contains(id NodeID) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refreshLocked(); err != nil {
		return false, fmt.Errorf("authorized nodes: %w", err)
	}
	_, ok := a.nodes[id]
	return ok, a.badLines
}

// refreshLocked brings nodes up to date with the file.
func (a *AuthorizedNodes) refreshLocked() error {
	info, err := os.Stat(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		a.nodes, a.badLines, a.info = nil, nil, nil
		return nil
	}
	if err != nil {
		return err
	}
	if a.unchangedLocked(info) {
		return nil
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", a.path)
	}
	file, err := os.Open(a.path)
	if err != nil {
		return err
	}
	defer file.Close()
	// The state of the file before it is read: a change meanwhile shows later.
	if info, err = file.Stat(); err != nil {
		return err
	}
	readAt := time.Now()
	content, err := io.ReadAll(io.LimitReader(file, maxAuthorizedFile+1))
	if err != nil {
		return err
	}
	if len(content) > maxAuthorizedFile {
		return tooLarge(a.path)
	}
	a.nodes, a.badLines = parseAuthorized(a.path, content)
	a.info, a.readAt = info, readAt
	return nil
}

// unchangedLocked reports whether info belongs to what was read. A file that was
// written just before it was read, or in the future, may have changed without
// showing it.
func (a *AuthorizedNodes) unchangedLocked(info fs.FileInfo) bool {
	return a.info != nil && os.SameFile(info, a.info) && info.Size() == a.info.Size() &&
		info.ModTime().Equal(a.info.ModTime()) && a.readAt.Sub(info.ModTime()) > settleTime
}

// Add writes id into the file, with comment after it, unless it is there
// already; the file is made if it is missing, mode 0600. The line is on the disk
// when Add returns. It is appended in one write, so nothing is lost of what
// other programs and people write there. Of comment at most 200 bytes are kept,
// as one line of printable characters.
func (a *AuthorizedNodes) Add(id NodeID, comment string) error {
	if id.IsZero() {
		return errors.New("authorized nodes: no node id to add")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refreshLocked(); err != nil {
		return fmt.Errorf("authorized nodes: %w", err)
	}
	if _, ok := a.nodes[id]; ok {
		return nil
	}
	line := strings.TrimSpace(id.String()+" "+printable(comment)) + "\n"
	if err := appendLine(a.path, line); err != nil {
		return fmt.Errorf("authorized nodes: add %v: %w", id, err)
	}
	return nil
}

// appendLine adds line, which ends with a newline, to the file path.
func appendLine(path, line string) (err error) {
	directory := filepath.Dir(path)
	if err = os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size+int64(len(line))+1 > maxAuthorizedFile {
		return tooLarge(path)
	}
	if size > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = "\n" + line
		}
	}
	if _, err := file.WriteString(line); err != nil {
		return err
	}
	if err := file.Sync(); err != nil || size > 0 {
		return err
	}
	return syncDirectory(directory)
}

// parseAuthorized returns the nodes in content, and an error that names the
// wrong lines if there are any.
func parseAuthorized(path string, content []byte) (map[NodeID]struct{}, error) {
	nodes := make(map[NodeID]struct{})
	var bad []error
	number, wrong := 0, 0
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // Windows editors begin with it
	for line := range bytes.Lines(content) {
		number++
		fields := bytes.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		id, err := decodeNodeID(string(fields[0]))
		if err == nil {
			nodes[id] = struct{}{}
			continue
		}
		if wrong++; wrong <= maxNamedLines {
			bad = append(bad, fmt.Errorf("%s:%d: this line does not count: node id: %w", path, number, err))
		}
	}
	if more := wrong - len(bad); more > 0 {
		bad = append(bad, fmt.Errorf("%s: and %d more wrong lines", path, more))
	}
	return nodes, errors.Join(bad...)
}

func tooLarge(path string) error {
	return withHint(fmt.Errorf("%s: more than %d bytes", path, maxAuthorizedFile), "remove lines from %s that nobody needs", path)
}

// printable makes one line of s: a comment may come from outside, and must not
// smuggle in lines of its own.
func printable(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxComment)], "")
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }), " ")
}
