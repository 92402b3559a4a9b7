package show

import (
	"fmt"
	"strings"

	"apquic/admin"
	"apquic/internal/table"
	"apquic/rules"
)

// Explained is what the rules say about a node.
func Explained(e admin.Explained) [][]string {
	named := "no rule names it"
	if len(e.Rules) > 0 {
		named = "named by the rules " + strings.Join(e.Rules, ", ")
	}
	rows := [][]string{{fmt.Sprintf("%s: %s.", shortName(e.Name, e.ID), named)}, nil, {"LIMIT", "VALUE", "SAID BY"}}
	for _, d := range e.Limits {
		by := "the settings"
		if d.Rule != "" {
			by = ruleOf(d.Rule)
		}
		value := shorten(d.Value, 40)
		if d.Limit == rules.MonthBytes {
			value += ", " + table.Bytes(e.Month) + " used"
		}
		rows = append(rows, []string{d.Limit, value, by})
	}
	if len(e.Services) == 0 {
		return rows
	}
	rows = append(rows, nil, []string{"SERVICE", "PUBLIC", "ALLOWED"})
	for _, s := range e.Services {
		public, may := fmt.Sprintf("%v://:%d", s.Transport, s.Port), "yes"
		if s.Domain != "" {
			public = s.Domain
		}
		if s.Rule != "" {
			may = "no, by " + ruleOf(s.Rule)
		}
		rows = append(rows, []string{shorten(s.Service, 20), public, may})
		if s.Refused != "" {
			rows = append(rows, []string{"  " + s.Refused})
		}
	}
	return rows
}

// ruleOf says that it is a rule, unless it is what the operator said by command.
func ruleOf(name string) string {
	if name == rules.Operator {
		return name
	}
	return "rule " + name
}
