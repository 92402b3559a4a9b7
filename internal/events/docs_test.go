package events

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// TestDocumented: docs/events.md lists the names of all events, and no others.
func TestDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(root, "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllSubmatch(document, -1) {
		if name := string(row[1]); listed[name] {
			t.Errorf("%s is listed twice", name)
		} else {
			listed[name] = true
		}
	}
	known := map[string]bool{"missed": true}
	for _, name := range Names() {
		known[name] = true
	}
	for name := range listed {
		if !known[name] {
			t.Errorf("docs/events.md lists %s, which is no event", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("docs/events.md does not list %s", name)
	}
}

// TestNamesAreLogged: each named event is in a line that a program logs, and each audit line has a name.
func TestNamesAreLogged(t *testing.T) {
	t.Parallel()
	logged := sourceOf(t)
	for message := range named {
		if !slices.ContainsFunc(logged.messages, func(text string) bool {
			return beginning(text) == message || strings.HasPrefix(message, text) && strings.HasSuffix(text, " ") // the rest varies
		}) {
			t.Errorf("no program logs %q", message)
		}
	}
	for _, name := range audited {
		if !slices.Contains(logged.texts, name) {
			t.Errorf("no program audits %s", name)
		}
	}
	for _, name := range logged.audits {
		if !slices.Contains(audited, name) {
			t.Errorf("the event %s has no name", name)
		}
	}
	if len(logged.messages) < 50 || len(logged.audits) < 5 {
		t.Errorf("the source has %d messages and %d audit events", len(logged.messages), len(logged.audits))
	}
}

// source is what the programs say.
type source struct {
	messages []string // of log lines, as far as they are constant
	audits   []string // events of audit lines
	texts    []string // all other texts
}

func sourceOf(t *testing.T) (found source) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "internal/events") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil {
					found.texts = append(found.texts, text)
				}
			case *ast.CallExpr:
				found.call(n)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// call notes what a call logs.
func (s *source) call(c *ast.CallExpr) {
	method, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	message := map[string]int{"Info": 0, "Warn": 0, "Error": 0, "Log": 2, "audit": 0}
	i, logs := message[method.Sel.Name]
	if !logs || len(c.Args) <= i {
		return
	}
	text := constant(c.Args[i])
	switch {
	case text == "":
	case method.Sel.Name == "audit":
		s.audits = append(s.audits, text)
	default:
		s.messages = append(s.messages, text)
	}
}

// constant is the beginning of an expression that is a constant text.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return constant(e.X)
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	}
	return ""
}
