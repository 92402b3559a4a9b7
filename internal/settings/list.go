package settings

import (
	"net/netip"
	"strings"

	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

// list is several values of one kind: a list of texts in a file, or one alone, and with commas in a flag.
type list[T any] struct {
	name  string // of several, for people
	want  string // what each is, with an example
	parse func(string) (T, error)
	show  func(T) string
}

// networks are IP networks, and countries the codes of countries.
func networks() list[netip.Prefix] {
	return list[netip.Prefix]{"networks", address.WantNetworks, address.ParseNetwork, netip.Prefix.String}
}

func countries() list[string] {
	return list[string]{"countries", address.WantCountries, address.ParseCountry, func(s string) string { return s }}
}

// bind makes a setting of a field that is empty by default.
func (l list[T]) bind(field *[]T) setting {
	return kind[[]T]{
		name: "list of " + l.name, flag: l.name, want: "a list of " + l.want, read: l.read, parse: l.parseAll, show: l.format,
	}.bind(field, nil)
}

// into is a field of a form.
func (l list[T]) into(field *[]T) jsonc.Field {
	return jsonc.Field{Want: "a list of " + l.want, Set: jsonc.Into(field, l.read)}
}

func (l list[T]) read(v jsonc.Value) (all []T, err error) {
	one := jsonc.Parsed(l.parse)
	if v.Kind() == '"' {
		value, err := one(v)
		return []T{value}, err
	}
	err = v.Elements(func(element jsonc.Value) {
		element.Apply(jsonc.Field{Want: l.want, Set: func(v jsonc.Value) error {
			value, err := one(v)
			all = append(all, value)
			return err
		}})
	})
	return all, err
}

func (l list[T]) parseAll(s string) (all []T, err error) {
	for text := range strings.SplitSeq(s, ",") {
		value, err := l.parse(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

func (l list[T]) format(all []T) string {
	texts := make([]string, len(all))
	for i, value := range all {
		texts[i] = l.show(value)
	}
	return strings.Join(texts, ",")
}
