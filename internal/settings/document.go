package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tailscale/hujson"

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

// value is one value of a document.
type value struct {
	*document
	key  string // with the enclosing ones
	node *hujson.Value
}

// form says which keys an object may have. It is all that the decoder knows about a kind of file.
type form map[string]field

// field says what belongs to a key and how it is read.
type field struct {
	want     string            // what belongs there, with an example; ends the text of a mistake
	set      func(value) error // stores the value; returns nil if it was right, or its mistakes were reported
	required bool
	same     string // the key of which this one is another spelling
}

// decode reads v as an object of this form.
func (v value) decode(f form) error {
	seen := map[string]string{} // how each key is spelled in this object
	meant := map[string]bool{}  // by unknown keys
	err := v.members(func(name string, at, member value) {
		field, known := f[name]
		if !known {
			meant[at.reportUnknown(name, slices.Collect(maps.Keys(f)))] = true
			return
		}
		key := cmp.Or(field.same, name)
		if other, twice := seen[key]; twice {
			at.report(fmt.Errorf("this is another name of %s, which is also given: remove one of them", other))
			return
		}
		seen[key] = name
		member.apply(field)
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(f)) {
		if _, given := seen[key]; f[key].required && !given && !meant[key] {
			v.report(fmt.Errorf("%s is missing; want %s", key, f[key].want))
		}
	}
	return nil
}

// complete is an error from the package of the value, which already says what belongs there.
type complete struct{ error }

func (c complete) Unwrap() error { return c.error }

// apply stores the value, or reports why it cannot be.
func (v value) apply(f field) {
	before := v.mistakes
	if err := f.set(v); err != nil {
		if _, ok := errors.AsType[complete](err); !ok {
			err = fmt.Errorf("%w; want %s", err, f.want)
		}
		v.report(err)
	}
	if v.mistakes == before {
		v.places[v.key] = v.node.StartOffset
	}
}

// members visits the members of an object in order: the name, its place, and the value. A duplicate name is a
// mistake and is not visited.
func (v value) members(visit func(name string, at, member value)) error {
	object, ok := v.node.Value.(*hujson.Object)
	if !ok {
		return v.mismatch()
	}
	seen := map[string]bool{}
	for i := range object.Members {
		member := &object.Members[i]
		name := member.Name.Value.(hujson.Literal).String()
		key := readable(name)
		if v.key != "" {
			key = v.key + "." + key
		}
		at := value{v.document, key, &member.Name}
		if seen[name] {
			at.report(errors.New("this key is a duplicate: remove one of them"))
			continue
		}
		seen[name] = true
		visit(name, at, value{v.document, key, &member.Value})
	}
	return nil
}

// elements visits the elements of a list.
func (v value) elements(visit func(value)) error {
	list, ok := v.node.Value.(*hujson.Array)
	if !ok {
		return v.mismatch()
	}
	for i := range list.Elements {
		visit(value{v.document, fmt.Sprintf("%s[%d]", v.key, i), &list.Elements[i]})
	}
	return nil
}

// mismatch says what kind of value this is, where another kind belongs.
func (v value) mismatch() error {
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
func (v value) reportUnknown(name string, known []string) string {
	meant := suggest.Nearest(name, known)
	text := "unknown key" + didYouMean(meant)
	if meant == "" {
		text += "; known keys here: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	}
	v.report(errors.New(text))
	return meant
}

func (v value) report(err error) { v.add(v.node.StartOffset, v.key, err) }

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

// readable is a name for a message: of a sensible length, and quoted if it contains anything strange.
func readable(name string) string {
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
