package logins

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"apquic/internal/domain"
	"apquic/internal/settings/internal/jsonc"
)

// Want is what Read reads.
const Want = `names and what their visitors must show, such as {"photos.example.org": {"password": {"anna": "$2a$12$..."}}}`

// All is the name that stands for all.
const All = "*"

// maxNames is how many names may have logins: each needs memory and, with a provider, asks that at the start.
const maxNames = 256

// ByName is what visitors must show, by the name that they come for, or by one that stands for several.
type ByName map[string]Login

// Read reads {"NAME": {"password": ...}, ...}.
func Read(v jsonc.Value) (ByName, error) {
	all := make(ByName)
	err := v.Members(func(name string, at, member jsonc.Value) {
		name, err := parseName(name)
		_, twice := all[name]
		switch {
		case err != nil:
			at.Report(err)
			return
		case twice:
			at.Report(errors.New("the name is there twice"))
			return
		}
		member.Apply(jsonc.Field{Want: "an object with password, clientCA or oidc", Set: func(v jsonc.Value) error {
			var login Login
			if err := v.Decode(login.Keys()); err != nil {
				return err
			}
			all[name] = login
			return nil
		}})
	})
	return all, err
}

// Parse reads the same, for a flag.
func Parse(s string) (all ByName, err error) {
	root, err := jsonc.Parse("--logins", []byte(s), func([]byte) (int, error) { return 0, nil })
	if err != nil {
		return nil, err
	}
	root.Apply(jsonc.Field{Want: Want, Set: jsonc.Into(&all, Read)})
	return all, root.Err()
}

func parseName(name string) (string, error) {
	if name == All {
		return name, nil
	}
	return domain.Parse(name)
}

// Check returns what is wrong with them.
func (all ByName) Check() error {
	if len(all) > maxNames {
		return fmt.Errorf("there are %d names, of %d at most", len(all), maxNames)
	}
	for _, name := range all.Names() {
		l := all[name]
		err := l.Fault()
		if err == nil && !l.AsksVisitors() {
			err = errors.New("visitors need to show nothing: want password, clientCA or oidc")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Names returns the names in order.
func (all ByName) Names() []string { return slices.Sorted(maps.Keys(all)) }
