package settings

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

// groupsVar is which nodes may offer each group. Flags replace those in a file.
func groupsVar(field *map[string][]string) setting {
	var flags map[string][]string
	return kind[map[string][]string]{
		name: "object", flag: "group", want: `names and lists of nodes such as {"photos": ["garage", "attic"]}`,
		read: readGroups, show: func(map[string][]string) string { return "" },
		parse: func(s string) (map[string][]string, error) {
			name, members, err := address.ParseGroup(s)
			if err != nil {
				return nil, err
			}
			if flags == nil {
				flags = make(map[string][]string)
			}
			flags[name] = members
			return maps.Clone(flags), nil
		},
		lines: describeGroups,
	}.bind(field, nil)
}

func describeGroups(groups map[string][]string) (all []line) {
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, line{Key: "." + hint.Readable(name), Value: "offered by " + strings.Join(groups[name], ", ")})
	}
	return all
}

// readGroups reads {"NAME": ["NODE", ...], ...}.
func readGroups(v jsonc.Value) (map[string][]string, error) {
	all := make(map[string][]string)
	err := v.Members(func(name string, at, member jsonc.Value) {
		if err := framing.CheckServiceName(name); err != nil {
			at.Report(err)
			return
		}
		member.Apply(jsonc.Field{Want: "a list of names or ids of nodes", Set: func(v jsonc.Value) error {
			err := v.Elements(func(element jsonc.Value) {
				element.Apply(jsonc.Field{Want: address.WantMember, Set: func(v jsonc.Value) error {
					who, err := jsonc.Parsed(address.ParseMember)(v)
					all[name] = append(all[name], who)
					return err
				}})
			})
			if err == nil && len(all[name]) == 0 {
				return errNoMember
			}
			return err
		}})
	})
	return all, err
}

var errNoMember = errors.New("a group needs a node that may offer it")
