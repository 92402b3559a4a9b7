package jsonc

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"

	"apquic/internal/hint"
	"apquic/internal/suggest"
)

// maxMistakes is how many mistakes in a file are reported.
const maxMistakes = 100

// document is a file while it is decoded: it knows where everything is and collects the mistakes.
type document struct {
	name     string
	data     []byte
	places   map[string]int // offset of the value of each key that was read without a mistake
	mistakes int            // all of them
	errors   Errors         // the first maxMistakes
}

// Value is one value of a document.
type Value struct {
	*document
	key  string // with the enclosing ones
	node *hujson.Value
}

// Form says which keys an object may have. It is all that the decoder knows about a kind of file.
type Form map[string]Field

// Field says what belongs to a key and how it is read.
type Field struct {
	Want     string            // what belongs there, with an example; ends the text of a mistake
	Set      func(Value) error // stores the value; returns nil if it was right, or its mistakes were reported
	Required bool
	Same     string // the key of which this one is another spelling
}

// Decode reads v as an object of this form.
func (v Value) Decode(f Form) error {
	seen := map[string]string{} // how each key is spelled in this object
	meant := map[string]bool{}  // by unknown keys
	err := v.Members(func(name string, at, member Value) {
		field, known := f[name]
		if !known {
			meant[at.reportUnknown(name, slices.Collect(maps.Keys(f)))] = true
			return
		}
		key := cmp.Or(field.Same, name)
		if other, twice := seen[key]; twice {
			at.Report(fmt.Errorf("this is another name of %s, which is also given: remove one of them", other))
			return
		}
		seen[key] = name
		member.Apply(field)
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(f)) {
		if _, given := seen[key]; f[key].Required && !given && !meant[key] {
			v.Report(fmt.Errorf("%s is missing; want %s", key, f[key].Want))
		}
	}
	return nil
}

// complete is an error from the package of the value, which already says what belongs there.
type complete struct{ error }

func (c complete) Unwrap() error { return c.error }

// Apply stores the value, or reports why it cannot be. It returns whether there was no mistake.
func (v Value) Apply(f Field) bool {
	before := v.mistakes
	if err := f.Set(v); err != nil {
		if _, ok := errors.AsType[complete](err); !ok {
			err = fmt.Errorf("%w; want %s", err, f.Want)
		}
		v.Report(err)
	}
	if v.mistakes > before {
		return false
	}
	v.places[v.key] = v.node.StartOffset
	return true
}

// Key returns the key of the value with the enclosing ones, such as services.web.upstream.
func (v Value) Key() string { return v.key }

// Kind returns the kind of the value: '{' or '[', '"' for a text, '0' for a number, 't', 'f' or 'n'.
func (v Value) Kind() byte { return byte(v.node.Value.Kind()) }

// All returns the members of an object as they are written, and reports nothing. Other values have none.
func (v Value) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		object, ok := v.node.Value.(*hujson.Object)
		for i := 0; ok && i < len(object.Members); i++ {
			member := &object.Members[i]
			name := member.Name.Value.(hujson.Literal).String()
			if !yield(name, Value{v.document, v.keyOf(name), &member.Value}) {
				return
			}
		}
	}
}

// keyOf is the key of a member.
func (v Value) keyOf(name string) string {
	if v.key == "" {
		return hint.Readable(name)
	}
	return v.key + "." + hint.Readable(name)
}

// Members visits the members of an object in order: the name, its place, and the value. A duplicate name is a
// mistake and is not visited.
func (v Value) Members(visit func(name string, at, member Value)) error {
	object, ok := v.node.Value.(*hujson.Object)
	if !ok {
		return v.mismatch()
	}
	seen := map[string]bool{}
	for i := range object.Members {
		member := &object.Members[i]
		name := member.Name.Value.(hujson.Literal).String()
		key := v.keyOf(name)
		at := Value{v.document, key, &member.Name}
		if seen[name] {
			at.Report(errors.New("this key is a duplicate: remove one of them"))
			continue
		}
		seen[name] = true
		visit(name, at, Value{v.document, key, &member.Value})
	}
	return nil
}

// Elements visits the elements of a list.
func (v Value) Elements(visit func(Value)) error {
	list, ok := v.node.Value.(*hujson.Array)
	if !ok {
		return v.mismatch()
	}
	for i := range list.Elements {
		visit(Value{v.document, fmt.Sprintf("%s[%d]", v.key, i), &list.Elements[i]})
	}
	return nil
}

// mismatch says what kind of value this is, where another kind belongs.
func (v Value) mismatch() error {
	switch v.node.Value.Kind() {
	case '{':
		return errors.New("this is an object")
	case '[':
		return errors.New("this is a list")
	case '"':
		return errors.New("this is a text")
	case '0':
		return errors.New("this is a number")
	case 'n':
		return errors.New("null is not a value: leave out the key for its default")
	}
	return errors.New("this is " + v.node.Value.(hujson.Literal).String())
}

// reportUnknown returns the key that was probably meant, or "".
func (v Value) reportUnknown(name string, known []string) string {
	meant := suggest.Nearest(name, known)
	text := "unknown key; known keys here: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	if meant != "" {
		text = "unknown key, did you mean " + meant + "?"
	}
	v.Report(errors.New(text))
	return meant
}

// Report notes a mistake in the value.
func (v Value) Report(err error) { v.add(v.node.StartOffset, v.key, err) }

// ReportAt notes a mistake that the values of keys make together, at the first of them; not if the document
// lacks one of them, since it is then not to blame alone.
func (v Value) ReportAt(err error, keys ...string) {
	for _, key := range keys {
		if _, given := v.places[key]; !given {
			return
		}
	}
	v.add(v.places[keys[0]], keys[0], err)
}

// Err returns the mistakes that were noted in the whole document, as [Errors], or nil.
func (v Value) Err() error { return v.errors.OrNil() }

// add notes a mistake. Finding its place takes a walk through the file, so the number is limited.
func (d *document) add(offset int, key string, err error) {
	d.mistakes++
	if d.mistakes > maxMistakes+1 {
		return
	}
	if d.mistakes == maxMistakes+1 {
		key, err = "", errors.New("there are more mistakes, which are not shown")
	}
	d.errors = append(d.errors, d.errorAt(offset, key, err))
}

// errorAt returns err at an offset in the file.
func (d *document) errorAt(offset int, key string, err error) *Error {
	before := d.data[:min(offset, len(d.data))]
	lineStart := bytes.LastIndexByte(before, '\n') + 1
	return &Error{
		File:   d.name,
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: 1 + utf8.RuneCount(before[lineStart:]),
		Key:    key,
		Text:   err.Error(),
		cause:  err,
	}
}

// offset returns the offset of a line and a column in bytes, both from 1.
func (d *document) offset(line, column int) int {
	at := 0
	for range line - 1 {
		at += bytes.IndexByte(d.data[at:], '\n') + 1
	}
	return min(at+column-1, len(d.data)-1)
}
