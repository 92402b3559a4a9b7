// Package hint makes errors and logs fit for people: errors that know the one thing to do about them, and
// foreign text made safe for a terminal. It must not know what any error is about.
//
// An error has a hint if it, or one that it wraps, has a method Hint() string; error types may implement
// their own.
package hint

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }
func (h *hinted) Hint() string  { return h.hint }

// Add returns err with the one thing to do about it, in the manner of fmt.Sprintf.
func Add(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// Of returns the outermost hint in err's tree; empty: there is none.
func Of(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

// Printable turns foreign text into one line of at most limit bytes; 0: of any length. A space replaces each
// character that could control a terminal or begin a line, and bytes that are not UTF-8.
func Printable(text string, limit int) string {
	if limit > 0 && len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, " "))
}

// Readable is a foreign name for a message: of a sensible length, and quoted if it contains anything strange.
func Readable(name string) string {
	const longest = 64
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	strange := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '"' }
	if name == "" || strings.ContainsFunc(name, strange) {
		return strconv.Quote(name)
	}
	return name
}
