package show

import (
	"cmp"
	"fmt"
	"strconv"

	"apquic/admin"
	"apquic/internal/table"
)

// Totals are what has passed on some days, and their sum.
func Totals(t admin.Totals) [][]string {
	if len(t.Rows) == 0 {
		return [][]string{{fmt.Sprintf("Nothing has passed from %s to %s.", t.From, t.To)}}
	}
	rows := [][]string{{"DAY", "NODE", "SERVICE", "IN", "OUT", "CONNS", "FLOWS", "REFUSED"}}
	for _, r := range t.Rows {
		node, service := "", r.Service
		switch {
		case r.Group:
			node = "(group)"
		case !r.Node.IsZero():
			node = shorten(shortName(r.Name, r.Node), 16)
		}
		if r.Others {
			service = "(others)"
		}
		rows = append(rows, append([]string{cmp.Or(r.Day, "all"), cmp.Or(node, "all"), cmp.Or(shorten(service, 14), "all")}, counts(r)...))
	}
	if len(t.Rows) > 1 {
		rows = append(rows, append([]string{"", "", "sum"}, counts(admin.Total{Counts: t.Sum})...))
	}
	return appendRest(rows, t.Total-len(t.Rows))
}

func counts(r admin.Total) []string {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return []string{table.Bytes(r.In), table.Bytes(r.Out), number(r.Connections), number(r.Flows), number(r.Refused)}
}
