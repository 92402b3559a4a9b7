package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake, in a file or in the settings as a whole.
type Error struct {
	File         string // as it was named; empty for [Server.Validate] and [Node.Validate]
	Line, Column int    // from 1, columns in characters; 0: of the file or the settings as a whole
	Key          string // with those around it, such as services.web.upstream
	Text         string // what is wrong, and what belongs there

	cause error // may know a hint
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Text)
	return b.String()
}

// Unwrap returns what the package of the value said about it, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Errors are all mistakes of a file, in the order of their places.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, mistake := range e {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the single mistakes.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, mistake := range e {
		all[i] = mistake
	}
	return all
}

// orNil sorts the mistakes by place; without any it returns a nil error.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}
