package show

import (
	"cmp"

	"apquic/admin"
	"apquic/certs"
)

// Limits are those of single nodes.
func Limits(list []admin.Limited) [][]string {
	if len(list) == 0 {
		return [][]string{{"No node has limits of its own; apquic-server limit NODE key=value sets some."}}
	}
	rows := [][]string{{"NODE", "LIMITS"}}
	for _, l := range list {
		rows = append(rows, []string{shortName(l.Name, l.ID), l.Limits.String()})
	}
	return rows
}

// Name is what people call a node.
func Name(name string, id certs.NodeID) string { return cmp.Or(name, id.String()) }
