package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/interval"
	"apquic/internal/settings/internal/jsonc"
	"apquic/internal/size"
	"apquic/internal/suggest"
	"apquic/lease"
)

// kind is a type of setting: how a T is written in files, in flags and for people.
type kind[T any] struct {
	name  string // for the documentation, with the bounds
	flag  string // pflag's name of the type, by which package cli explains what is wrong with a value
	want  string // see row
	read  func(jsonc.Value) (T, error)
	parse func(string) (T, error)
	show  func(T) string    // as parse accepts it, but without a secret; empty: not given
	check func(T) error     // that it is within its bounds; nil: it always is
	same  func(a, b T) bool // nil: reflect.DeepEqual
	lines func(T) []line    // for a description, with suffixes for the row's key; nil: what show returns
}

// bound is a setting: a kind, a field and its default.
type bound[T any] struct {
	kind[T]
	field    *T
	standard T
}

func (k kind[T]) bind(field *T, standard T) setting { return &bound[T]{k, field, standard} }

func (b *bound[T]) reset()           { *b.field = b.standard }
func (b *bound[T]) String() string   { return b.show(*b.field) }
func (b *bound[T]) Type() string     { return b.flag }
func (b *bound[T]) typeName() string { return b.name }
func (b *bound[T]) wanted() string   { return b.want }

func (b *bound[T]) Set(s string) error {
	v, err := b.parse(s)
	if err == nil {
		*b.field = v
	}
	return err
}

func (b *bound[T]) read(v jsonc.Value) error { return jsonc.Into(b.field, b.kind.read)(v) }

func (b *bound[T]) check() error {
	if b.kind.check == nil {
		return nil
	}
	return b.kind.check(*b.field)
}

func (b *bound[T]) describe() []line {
	if b.lines == nil {
		return []line{{Value: b.String()}}
	}
	return b.lines(*b.field)
}

func boolVar(field *bool, standard bool) setting {
	return kind[bool]{
		name: "true/false", flag: "bool", want: "true or false",
		read: jsonc.Value.Bool, parse: strconv.ParseBool, show: strconv.FormatBool,
	}.bind(field, standard)
}

func numberVar[T int | uint32](field *T, standard, least, most T) setting {
	return kind[T]{
		name: fmt.Sprintf("number, %d to %d", least, most), flag: "int", want: fmt.Sprintf("a number from %d to %d", least, most),
		read: jsonc.Whole(least, most), show: func(n T) string { return fmt.Sprint(n) },
		parse: func(s string) (T, error) {
			n, err := strconv.ParseInt(s, 0, 64)
			if err == nil && int64(T(n)) != n {
				err = strconv.ErrRange
			}
			return T(n), err
		},
		check: func(n T) error {
			if n < least || n > most {
				return fmt.Errorf("%d is not from %d to %d", n, least, most)
			}
			return nil
		},
	}.bind(field, standard)
}

func durationVar(field *time.Duration, standard, least, most time.Duration) setting {
	return durationKind(least, most).bind(field, standard)
}

func durationKind(least, most time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		name: fmt.Sprintf("duration, %s to %s", interval.Format(least), interval.Format(most)), flag: "duration",
		want: `a duration such as "90s" or "180m", or a number of seconds`,
		read: jsonc.Value.Duration, parse: time.ParseDuration, show: interval.Format,
		check: func(d time.Duration) error {
			if d < least || d > most {
				return fmt.Errorf("%s is not from %s to %s", interval.Format(d), interval.Format(least), interval.Format(most))
			}
			return nil
		},
	}
}

// memoryVar is a number of bytes, without a default.
func memoryVar(field *Size) setting {
	return kind[Size]{
		name: fmt.Sprintf("size, at least %v", size.LeastMemory), flag: "size", want: `a size such as "256MB" or "1GiB"`,
		read: jsonc.Parsed(size.Parse), parse: size.Parse, show: Size.String, check: size.CheckMemory,
	}.bind(field, 0)
}

// textVar is a text that passes check; nil: any.
func textVar(field *string, standard string, check func(string) error) setting {
	return textKind(check).bind(field, standard)
}

func textKind(check func(string) error) kind[string] {
	same := func(s string) string { return s }
	return kind[string]{
		name: "text", flag: "string", want: "a text",
		read: jsonc.Value.Text, parse: func(s string) (string, error) { return s, nil }, show: same, check: check,
	}
}

// hostVar is a name or an IP address, or nothing.
func hostVar(field *string) setting {
	k := textKind(func(s string) error {
		if s == "" {
			return nil
		}
		_, err := address.ParseHost(s)
		return err
	})
	k.read = host
	return k.bind(field, "")
}

// wordVar is one of the known words.
func wordVar(field *string, standard string, known ...string) setting {
	k := textKind(func(s string) error {
		if slices.Contains(known, s) {
			return nil
		}
		return fmt.Errorf("%s is none of %s%s", hint.Readable(s), strings.Join(known, ", "), didYouMean(suggest.Nearest(s, known)))
	})
	last := len(known) - 1
	k.want = fmt.Sprintf(`"%s" or "%s"`, strings.Join(known[:last], `", "`), known[last])
	return k.bind(field, standard)
}

// portsVar is a range of ports.
func portsVar(field *lease.PortRange, standard string) setting {
	ports, err := lease.ParsePortRange(standard)
	if err != nil {
		panic(err) // standard is a constant
	}
	return kind[lease.PortRange]{
		name: "text", flag: "ports", want: `public ports such as "20000-22000" or "20000-20010,30000"`,
		read: jsonc.Parsed(lease.ParsePortRange), parse: lease.ParsePortRange, show: lease.PortRange.String,
		check: func(r lease.PortRange) error {
			if r.IsZero() {
				return errors.New(`there are no ports; want public ports such as "20000-22000"`)
			}
			return nil
		},
		lines: func(r lease.PortRange) []line { return []line{{Value: fmt.Sprintf("%v (%d ports)", r, r.Size())}} },
	}.bind(field, ports)
}

// invitationVar is the invitation of a server, whose secret is not shown.
func invitationVar(field *certs.Invitation) setting {
	return kind[certs.Invitation]{
		name: "text", flag: "invitation",
		read: jsonc.Parsed(certs.ParseInvitation), parse: certs.ParseInvitation,
		show: func(i certs.Invitation) string {
			if i.Server.IsZero() {
				return ""
			}
			return i.Redacted()
		},
		same: func(a, b certs.Invitation) bool {
			a.Secret, b.Secret = nil, nil // it admits only once
			return a.String() == b.String()
		},
	}.bind(field, certs.Invitation{})
}

// didYouMean ends the text of a mistake; meant is what was probably meant, or empty.
func didYouMean(meant string) string {
	if meant == "" {
		return ""
	}
	return ", did you mean " + meant + "?"
}
