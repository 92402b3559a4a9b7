// Package jsonc reads JSON with comments and trailing commas. A [Form] says which keys an object may have and
// where their values go. All mistakes in a document are reported at once, each with its place.
//
// The package must not know what a key means, do I/O, or repeat in an error what it cannot parse, since that
// may be a secret.
package jsonc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"

	"apquic/internal/hint"
)

// MaxSize is how large a document may be, in bytes.
const MaxSize = 1 << 20

// maxNesting is how deep lists and objects may be nested, because the parser is recursive.
const maxNesting = 32

var (
	errTooBig  = fmt.Errorf("it has more than %d bytes", MaxSize)
	errNotText = errors.New("this is not UTF-8 text")
)

// Parse parses the document called name and returns its outermost value, or [Errors]. If data is no JSON,
// foreign is asked whether it is something else: it returns the error to report instead, and the offset at
// which it shows; or nil.
func Parse(name string, data []byte, foreign func(data []byte) (offset int, err error)) (Value, error) {
	doc := &document{name: name, data: data, places: map[string]int{}}
	if len(data) > MaxSize {
		return Value{}, Errors{{File: name, Text: errTooBig.Error(), cause: errTooBig}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	// A comment in the last line may lack the newline.
	doc.data = append(bytes.Clone(data), '\n')
	if at := firstInvalid(data); at >= 0 {
		return Value{}, Errors{doc.errorAt(at, "", hint.Add(errNotText, "save the file as UTF-8 in the editor"))}
	}
	if at := tooDeep(data); at >= 0 {
		return Value{}, Errors{doc.errorAt(at, "", fmt.Errorf("lists and objects are nested deeper than %d", maxNesting))}
	}
	root, err := hujson.Parse(doc.data)
	if err != nil {
		if at, other := foreign(doc.data); other != nil {
			return Value{}, Errors{doc.errorAt(at, "", other)}
		}
		return Value{}, Errors{doc.syntaxError(err)}
	}
	return Value{doc, "", &root}, nil
}

// firstInvalid returns the offset of the first byte that is not UTF-8, or -1.
func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// tooDeep returns the offset at which the nesting exceeds its limit, or -1.
func tooDeep(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if depth++; depth > maxNesting {
				return i
			}
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '/':
			i += commentLength(data[i:])
		}
	}
	return -1
}

// commentLength returns the length of the comment at the start of data without its first byte; 0 if there is
// none.
func commentLength(data []byte) int {
	end := ""
	switch {
	case bytes.HasPrefix(data, []byte("//")):
		end = "\n"
	case bytes.HasPrefix(data, []byte("/*")):
		end = "*/"
	default:
		return 0
	}
	if n := bytes.Index(data[2:], []byte(end)); n >= 0 {
		return 2 + n + len(end) - 1
	}
	return len(data) - 1
}

// endBefore returns the offset of the last byte before at that is neither space nor comment; 0 if there is
// none.
func endBefore(data []byte, at int) (last int) {
	for i := 0; i < at; i++ {
		switch data[i] {
		case ' ', '\t', '\r', '\n':
		case '"':
			for i++; i < at && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			last = min(i, at-1)
		case '/':
			i += commentLength(data[i:])
		default:
			last = i
		}
	}
	return last
}

// hujsonPlace is the start of an error of hujson, the only way to get its place.
var hujsonPlace = regexp.MustCompile(`^hujson: line (\d+), column (\d+): `)

// syntaxError turns an error of hujson into one for people. It never repeats a literal, which may be a secret
// with a missing quote.
func (d *document) syntaxError(err error) *Error {
	at, text := 0, err.Error()
	if place := hujsonPlace.FindStringSubmatch(text); place != nil {
		line, _ := strconv.Atoi(place[1])
		column, _ := strconv.Atoi(place[2])
		at = d.offset(line, column)
		text = text[len(place[0]):]
	}
	switch {
	case strings.Contains(text, "expecting ','"):
		at, text = endBefore(d.data, at), "a comma is missing after this"
	case len(bytes.TrimSpace(d.data)) == 0:
		text = "the file is empty; want {...}"
	case errors.Is(err, io.ErrUnexpectedEOF):
		text = "the file ends too early: a } ] \" or */ is missing"
	case strings.HasPrefix(text, "invalid literal") && d.data[at] == '"':
		text = `this text lacks the closing ", or contains a \ or a special character; write \\ for \`
	case strings.HasPrefix(text, "invalid literal"):
		text = `this is neither a "text" in quotes nor a number, true or false`
	}
	return d.errorAt(at, "", errors.New(text))
}
