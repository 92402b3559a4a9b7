package certs

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"apquic/internal/hint"
)

const (
	maxName       = 200 // bytes
	maxNamedLines = 10  // in one error
)

// What may follow the name of a node, as separate words.
const (
	joinedWord = "joined="
	portWord   = "port="
)

// parseAuthorized returns the nodes in content, and an error that names any invalid lines. Of several lines
// for a node the first counts, unless one denies.
func parseAuthorized(path string, content []byte) (map[NodeID]AuthorizedNode, error) {
	nodes := make(map[NodeID]AuthorizedNode)
	var bad []error
	number, wrong := 0, 0
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // Windows editors write it
	for line := range bytes.Lines(content) {
		number++
		node, err := parseAuthorizedLine(string(line))
		if before, twice := nodes[node.ID]; !node.ID.IsZero() {
			if before.Denied || twice && !node.Denied {
				node = before
			}
			nodes[node.ID] = node
		}
		if err == nil {
			continue
		}
		if wrong++; wrong <= maxNamedLines {
			bad = append(bad, fmt.Errorf("%s:%d: %w", path, number, err))
		}
	}
	if more := wrong - len(bad); more > 0 {
		bad = append(bad, fmt.Errorf("%s: and %d more invalid lines", path, more))
	}
	if len(bad) == 0 {
		return nodes, nil
	}
	return nodes, &badLinesError{errors.Join(bad...)}
}

// ErrBadLines says that a file of authorized nodes has invalid lines beside those that count.
var ErrBadLines = errors.New("invalid lines")

type badLinesError struct{ error }

func (e *badLinesError) Unwrap() error        { return e.error }
func (e *badLinesError) Is(target error) bool { return target == ErrBadLines }

// parseAuthorizedLine returns what a line says; the zero value for one that does not count. An invalid word
// after the id is an error beside the node.
func parseAuthorizedLine(line string) (node AuthorizedNode, err error) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0][0] == '#' {
		return AuthorizedNode{}, nil
	}
	first, denied := strings.CutPrefix(words[0], "-")
	words = words[1:]
	if denied && first == "" && len(words) > 0 { // a space after the sign
		first, words = words[0], words[1:]
	}
	if node.ID, err = decodeNodeID(first); err != nil {
		return AuthorizedNode{}, fmt.Errorf("this line is ignored: node id: %w", err)
	}
	node.Denied = denied
	var name []string
	for _, word := range words {
		var wrong error
		if joined, ok := strings.CutPrefix(word, joinedWord); ok {
			node.Joined, wrong = time.Parse(time.RFC3339, joined)
		} else if port, ok := strings.CutPrefix(word, portWord); ok {
			node.Port, wrong = parsePort(port)
		} else {
			name = append(name, word)
		}
		if wrong != nil {
			err = fmt.Errorf("this part is ignored: %q", hint.Printable(word, maxName))
		}
	}
	node.Name = cleanName(strings.Join(name, " "))
	return node, err
}

func parsePort(digits string) (uint16, error) {
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return 0, errors.New("want a port from 1 to 65535")
	}
	return uint16(port), nil
}

// line is n as a line of the file, with a newline.
func (n AuthorizedNode) line() string {
	words := []string{n.ID.String()}
	if n.Denied {
		words[0] = "-" + words[0]
	}
	if name := cleanName(n.Name); name != "" {
		words = append(words, name)
	}
	if !n.Joined.IsZero() {
		words = append(words, joinedWord+n.Joined.UTC().Format(time.RFC3339))
	}
	if n.Port != 0 {
		words = append(words, portWord+strconv.Itoa(int(n.Port)))
	}
	return strings.Join(words, " ") + "\n"
}

// cleanName reduces s to words on one line: a name may come from outside, and must not smuggle in lines of
// its own.
func cleanName(s string) string { return strings.Join(strings.Fields(hint.Printable(s, maxName)), " ") }

// CheckName returns why a node or an invitation cannot be called name, which appears in tables, files and
// commands.
func CheckName(name string) error {
	wrong := func(r rune) bool {
		return !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r))
	}
	switch _, err := decodeNodeID(name); {
	case name == "" || len(name) > 64:
		return fmt.Errorf("a name has 1 to 64 bytes, not %d", len(name))
	case strings.HasPrefix(name, "-"), strings.ContainsFunc(name, wrong):
		return fmt.Errorf("the name %q: want letters, digits and . _ -, and no - at the beginning", hint.Printable(name, maxName))
	case err == nil:
		return errors.New("a node id cannot be a name")
	}
	return nil
}
