package limits

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
	"apquic/internal/settings/internal/ruleset"
	"apquic/rules"
)

// maxValue bounds a value, in bytes.
const maxValue = 4 << 10

// Words are limits as a person writes them: a value for the key that it has in a rule. The items of a list have commas
// between them.
type Words map[string]string

// Keys are those that Words may have, sorted.
func Keys() (keys []string) {
	for key := range ruleset.Keys(new(rules.Rule)) {
		if key != "name" && key != "nodes" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Pairs reads key=value, each key once.
func Pairs(all []string) (Words, error) {
	words := make(Words)
	for _, pair := range all {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, hint.Add(fmt.Errorf("%s is not key=value", hint.Readable(pair)), "the keys are %s", strings.Join(Keys(), ", "))
		}
		if _, twice := words[key]; twice {
			return nil, fmt.Errorf("%s is said twice", hint.Readable(key))
		}
		words[key] = value
	}
	return words, nil
}

// Read returns the limits that words mean, or every mistake in them.
func Read(words Words) (rules.Limits, error) {
	object := make(map[string]any, len(words))
	for key, value := range words {
		if err := checkValue(value); err != nil {
			return rules.Limits{}, fmt.Errorf("%s: %w", hint.Readable(key), err)
		}
		object[key] = value
		if key == "domains" || key == "protocols" {
			object[key] = strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		return rules.Limits{}, err
	}
	root, err := jsonc.Parse("", text, func([]byte) (int, error) { return 0, nil })
	if err != nil {
		return rules.Limits{}, err
	}
	rule := rules.Rule{Name: rules.Operator}
	form := ruleset.Keys(&rule)
	delete(form, "name")
	delete(form, "nodes")
	if err := root.Decode(form); err != nil {
		return rules.Limits{}, err
	}
	if err := withoutPlaces(root.Err()); err != nil {
		return rules.Limits{}, err
	}
	return rule.Limits, rule.Limits.Check(rules.Operator)
}

// checkValue returns why a value cannot stand in a line of the file.
func checkValue(value string) error {
	switch {
	case len(value) > maxValue:
		return fmt.Errorf("the value has %d bytes, but only %d are allowed", len(value), maxValue)
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return errors.New("the value has spaces or control characters; want none, also not in a list")
	}
	return nil
}

// withoutPlaces leaves out where in the text a mistake is, which nobody wrote.
func withoutPlaces(err error) error {
	mistakes, ok := errors.AsType[jsonc.Errors](err)
	if !ok {
		return err
	}
	var texts []error
	for _, m := range mistakes {
		bare := *m
		bare.File, bare.Line, bare.Column = "", 0, 0
		texts = append(texts, &bare)
	}
	return errors.Join(texts...)
}

// String is a line of the file without its node.
func (w Words) String() string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(w)) {
		pairs = append(pairs, key+"="+w[key])
	}
	return strings.Join(pairs, " ")
}
