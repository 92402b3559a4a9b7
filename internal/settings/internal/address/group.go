package address

import (
	"fmt"
	"strings"

	"apquic/framing"
	"apquic/internal/hint"
)

// ParseGroup reads NAME=NODE,NODE.
func ParseGroup(s string) (name string, members []string, err error) {
	name, list, found := strings.Cut(s, "=")
	if !found {
		return "", nil, fmt.Errorf("%s names no nodes; want a group such as photos=garage,attic", hint.Readable(s))
	}
	if err := framing.CheckServiceName(name); err != nil {
		return "", nil, err
	}
	for who := range strings.SplitSeq(list, ",") {
		who, err := ParseMember(strings.TrimSpace(who))
		if err != nil {
			return "", nil, err
		}
		members = append(members, who)
	}
	return name, members, nil
}
