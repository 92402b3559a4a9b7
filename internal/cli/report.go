package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"apquic/internal/files"
	"apquic/internal/hint"
)

// Report writes err for a person: a line "error: ..." for each error joined in it, then a line "hint: ..."
// for each thing to do that an error in its tree returns from a method Hint() string. Nothing is written for
// nil. Characters that could control a terminal are replaced, since parts of the text may come from the peer.
func Report(w io.Writer, err error) {
	if err == nil {
		return
	}
	var b strings.Builder
	for _, text := range Errors(err) {
		writeLine(&b, "error: ", text)
	}
	for _, hint := range Hints(err) {
		writeLine(&b, "hint: ", hint)
	}
	io.WriteString(w, b.String()) // if stderr fails, there is nowhere to report it
}

// Errors returns the texts of those joined in err.
func Errors(err error) (texts []string) {
	for _, single := range split(err) {
		texts = append(texts, single.Error())
	}
	return texts
}

// Hints returns the things to do about err, each once.
func Hints(err error) (hints []string) {
	for _, hint := range append(collectHints(err), files.OwnerHint(err), commonHint(err)) {
		if hint != "" && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	return hints
}

// commonHint is what to do about causes that any program may meet; empty if the error is none of them, or has
// a better hint.
func commonHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full: make room on it"
	case errors.Is(err, fs.ErrPermission) && len(collectHints(err)) == 0 && files.OwnerHint(err) == "":
		return "start the program as the user who owns the file, or change the file's owner to the user who starts it"
	}
	return ""
}

func writeLine(b *strings.Builder, label, text string) {
	indent := strings.Repeat(" ", len(label))
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if i > 0 {
			label = indent
		}
		fmt.Fprintf(b, "%s%s\n", label, hint.Printable(line, 0))
	}
}

// split separates joined errors. An error that adds text to those that it wraps stays whole.
func split(err error) []error {
	parts := unwrap(err)
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part.Error()
	}
	if len(parts) == 0 || err.Error() != strings.Join(texts, "\n") {
		return []error{err}
	}
	var all []error
	for _, part := range parts {
		all = append(all, split(part)...)
	}
	return all
}

// collectHints returns the hints in err's tree, those of the causes first.
func collectHints(err error) []string {
	var hints []string
	for _, part := range unwrap(err) {
		hints = append(hints, collectHints(part)...)
	}
	if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
		hints = append(hints, h.Hint())
	}
	return hints
}

// unwrap returns the errors that err wraps.
func unwrap(err error) []error {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		return slices.DeleteFunc(slices.Clone(e.Unwrap()), func(err error) bool { return err == nil })
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return []error{inner}
		}
	}
	return nil
}
