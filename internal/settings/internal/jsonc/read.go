package jsonc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tailscale/hujson"

	"apquic/internal/hint"
)

const (
	maxText = 1024                      // bytes
	longest = 10 * 365 * 24 * time.Hour // that a number of seconds may stand for
)

// Into returns a [Field].Set that stores what read returns for a value.
func Into[T any](target *T, read func(Value) (T, error)) func(Value) error {
	return func(v Value) error {
		result, err := read(v)
		if err == nil {
			*target = result
		}
		return err
	}
}

// Parsed reads a text with the parse function of another package.
func Parsed[T any](parse func(string) (T, error)) func(Value) (T, error) {
	return func(v Value) (result T, err error) {
		s, err := v.Text()
		if err != nil {
			return result, err
		}
		if result, err = parse(s); err != nil {
			return result, complete{err}
		}
		return result, nil
	}
}

// placeholder matches the placeholders in templates.
var placeholder = regexp.MustCompile(`\b(YOUR|TARGET)[-_][A-Z]|[A-Z][-_]HERE\b`)

// Text reads a text on one line. Errors do not repeat it, since it may be a secret.
func (v Value) Text() (string, error) {
	literal, ok := v.node.Value.(hujson.Literal)
	if !ok || literal.Kind() != '"' {
		return "", v.mismatch()
	}
	s := literal.String()
	switch {
	case placeholder.MatchString(s):
		return "", errors.New("this is still a placeholder")
	case s == "":
		return "", errors.New("the text is empty")
	case len(s) > maxText:
		return "", fmt.Errorf("the text has %d bytes, but only %d are allowed", len(s), maxText)
	case strings.TrimSpace(s) != s:
		return "", errors.New("there are spaces around the text")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", errors.New("there are control characters in the text")
	}
	return s, nil
}

// JSON is the value in standard JSON, on one line.
func (v Value) JSON() string {
	value := v.node.Clone()
	value.Minimize()
	return string(value.Pack())
}

// OneOf reads one of several words.
func OneOf(words ...string) func(Value) (string, error) {
	return Parsed(func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		return "", fmt.Errorf("%s is none of %q", hint.Readable(s), words)
	})
}

// Bool reads true or false.
func (v Value) Bool() (bool, error) {
	switch v.node.Value.Kind() {
	case 't', 'f':
		return v.node.Value.(hujson.Literal).Bool(), nil
	}
	return false, v.mismatch()
}

// Whole reads a whole number from least to most; it may be in quotes.
func Whole[T int | int64 | uint16 | uint32](least, most T) func(Value) (T, error) {
	return func(v Value) (T, error) {
		var digits string
		var err error
		if v.node.Value.Kind() == '0' {
			digits = string(v.node.Value.(hujson.Literal))
		} else if digits, err = v.Text(); err != nil {
			return 0, err
		}
		number, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s is not a whole number", hint.Readable(digits))
		}
		if number < int64(least) || number > int64(most) {
			return 0, fmt.Errorf("%d is not from %d to %d", number, least, most)
		}
		return T(number), nil
	}
}

// Duration reads "180m", or a number of seconds, which may be in quotes.
func (v Value) Duration() (time.Duration, error) {
	seconds := Whole[int64](0, int64(longest/time.Second))
	if v.node.Value.Kind() == '0' {
		n, err := seconds(v)
		return time.Duration(n) * time.Second, err
	}
	s, err := v.Text()
	if err != nil {
		return 0, err
	}
	if strings.Trim(s, "0123456789") == "" {
		n, err := seconds(v)
		return time.Duration(n) * time.Second, err
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration", hint.Readable(s))
	}
	return d, nil
}
