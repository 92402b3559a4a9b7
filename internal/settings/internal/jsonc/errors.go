package jsonc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake, in a document or in what it was read into.
type Error struct {
	File         string // as given; empty: not about a document
	Line, Column int    // from 1, columns in characters; 0: about the whole
	Key          string // with the enclosing ones, such as services.web.upstream
	Text         string // what is wrong, and what belongs there

	cause error // may have a hint
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

// Unwrap returns the error from the package of the value, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Errors are all mistakes in a document, by place.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, mistake := range e {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the individual mistakes.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, mistake := range e {
		all[i] = mistake
	}
	return all
}

// Add adds a mistake that is not about a document.
func (e *Errors) Add(key string, err error) {
	*e = append(*e, &Error{Key: key, Text: err.Error(), cause: err})
}

// OrNil sorts the mistakes by place; if there are none it returns nil.
func (e Errors) OrNil() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}
