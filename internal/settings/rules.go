package settings

import (
	"apquic/internal/hint"
	"apquic/internal/settings/internal/ruleset"
	"apquic/rules"
)

// rulesVar is what single nodes of a server may have.
func rulesVar(field *rules.Rules) setting {
	return kind[rules.Rules]{
		name: "list of objects", flag: "json", want: ruleset.Want,
		read: ruleset.Read, parse: ruleset.Parse, check: rules.Rules.Check, show: func(rules.Rules) string { return "" },
		lines: func(all rules.Rules) (lines []line) {
			for _, rule := range all {
				lines = append(lines, line{Key: "." + hint.Readable(rule.Name), Value: ruleset.Describe(rule)})
			}
			return lines
		},
	}.bind(field, nil)
}

// Limits are the rules, and what holds for nodes where no rule says anything.
func (s Server) Limits() (all rules.Rules, l rules.Limits) {
	l.Ports.Value = s.Range
	if s.HTTP != "" || s.HTTPS != "" {
		l.Domains.Value = []string{rules.Everyone}
	}
	l.Protocols.Value = []string{rules.TCP, rules.UDP}
	l.MaxServices.Value, l.LeaseTime.Value = s.MaxServices, s.LeaseTime
	l.MaxClients.Value, l.MaxClientsPerAddress.Value, l.MaxClientRate.Value = s.MaxClients, s.MaxClientsPerAddress, s.Visitors.Rate
	l.MaxRateIn.Value, l.MaxRateOut.Value = s.Visitors.BytesIn, s.Visitors.BytesOut
	return s.Rules, l
}
