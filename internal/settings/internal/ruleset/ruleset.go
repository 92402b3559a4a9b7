// Package ruleset is how the rules of a server are written in its settings.
//
// It must not decide anything: package rules does.
package ruleset

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"apquic/certs"
	"apquic/internal/domain"
	"apquic/internal/settings/internal/jsonc"
	"apquic/internal/size"
	"apquic/lease"
	"apquic/rules"
)

// Want is what Read reads.
const Want = `a list of rules such as [{"name": "guests", "nodes": ["guests*"], "maxServices": 2}]`

const (
	wantRule   = `an object with name, nodes and limits, such as {"name": "guests", "nodes": ["guests*"], "maxServices": 2}`
	wantNode   = `the name or the id of a node, the beginning of names such as "guests*", or "*" for all`
	wantCount  = "a number from 1 to a million"
	wantRate   = "a number from 0, which is no limit, to a million"
	wantBytes  = size.WantRate + `, or "0" for no limit`
	wantAmount = `bytes in a month such as "500GB", or "0" for no limit`
	million    = 1_000_000
	none       = "none"
	never      = "never"
)

// Read reads [{"name": "NAME", "nodes": ["NODE", ...], ...}, ...].
func Read(v jsonc.Value) (all rules.Rules, err error) {
	err = v.Elements(func(v jsonc.Value) {
		v.Apply(jsonc.Field{Want: wantRule, Set: func(v jsonc.Value) error {
			rule := rules.Rule{Name: nameIn(v)}
			err := v.Decode(Keys(&rule))
			all = append(all, rule)
			return err
		}})
	})
	return all, err
}

// Parse reads the same, for a flag.
func Parse(s string) (all rules.Rules, err error) {
	root, err := jsonc.Parse("--rules", []byte(s), func([]byte) (int, error) { return 0, nil })
	if err != nil {
		return nil, err
	}
	root.Apply(jsonc.Field{Want: Want, Set: jsonc.Into(&all, Read)})
	return all, root.Err()
}

// nameIn is the name of the rule that v is, wherever it stands: its limits have it. A mistake in it is reported when its
// turn comes.
func nameIn(v jsonc.Value) (name string) {
	for key, member := range v.All() {
		if key == "name" {
			name, _ = member.Text()
		}
	}
	return name
}

// Keys are those of a rule with a name.
func Keys(r *rules.Rule) jsonc.Form {
	text := func(s string) (string, error) { return s, nil }
	node := func(s string) (string, error) {
		if id, err := certs.ParseNodeID(s); err == nil {
			s = id.String()
		}
		return s, rules.CheckNode(s)
	}
	return jsonc.Form{
		"name":                 {Want: `a name such as "guests"`, Set: jsonc.Into(&r.Name, jsonc.Parsed(text)), Required: true},
		"nodes":                {Want: "a list of names or ids of nodes", Set: jsonc.Into(&r.Nodes, list(wantNode, node)), Required: true},
		"expires":              limit(r, &r.Expires, `a day such as "2027-06-30", a time such as "2027-06-30T18:00:00Z", or "never"`, jsonc.Parsed(parseTime)),
		"ports":                limit(r, &r.Ports, `public ports such as "20000-20010,30000", or "none"`, jsonc.Parsed(parsePorts)),
		"domains":              limit(r, &r.Domains, `a list of names such as ["www.example.org", "*.home.example.org"], or of "*" for all`, list(`a name such as "www.example.org" or "*.example.org"`, parseDomain)),
		"protocols":            limit(r, &r.Protocols, `a list of "tcp" and "udp"`, list(`"tcp" or "udp"`, text)),
		"maxServices":          limit(r, &r.MaxServices, "a number from 1 to 65535", jsonc.Whole(1, 65535)),
		"leaseTime":            limit(r, &r.LeaseTime, `a duration such as "90s" or "180m", or a number of seconds`, jsonc.Value.Duration),
		"maxClients":           limit(r, &r.MaxClients, wantCount, jsonc.Whole(1, million)),
		"maxClientsPerAddress": limit(r, &r.MaxClientsPerAddress, wantCount, jsonc.Whole(1, million)),
		"maxClientRate":        limit(r, &r.MaxClientRate, wantRate, jsonc.Whole(0, million)),
		"maxRateIn":            limit(r, &r.MaxRateIn, wantBytes, jsonc.Parsed(size.ParseRate)),
		"maxRateOut":           limit(r, &r.MaxRateOut, wantBytes, jsonc.Parsed(size.ParseRate)),
		"maxMonthBytes":        limit(r, &r.MaxMonthBytes, wantAmount, jsonc.Parsed(size.ParseAmount)),
	}
}

// limit is a field for one of the limits of a rule.
func limit[T any](r *rules.Rule, into *rules.Limit[T], want string, read func(jsonc.Value) (T, error)) jsonc.Field {
	return jsonc.Field{Want: want, Set: func(v jsonc.Value) error {
		value, err := read(v)
		if err == nil {
			*into = rules.Limit[T]{Value: value, By: cmp.Or(r.Name, "?")}
		}
		return err
	}}
}

// list reads a list of texts.
func list(want string, parse func(string) (string, error)) func(jsonc.Value) ([]string, error) {
	return func(v jsonc.Value) ([]string, error) {
		all := []string{}
		err := v.Elements(func(v jsonc.Value) {
			v.Apply(jsonc.Field{Want: want, Set: func(v jsonc.Value) error {
				s, err := jsonc.Parsed(parse)(v)
				all = append(all, s)
				return err
			}})
		})
		return all, err
	}
}

func parseDomain(s string) (string, error) {
	if s == rules.Everyone {
		return s, nil
	}
	return domain.Parse(s)
}

func parsePorts(s string) (lease.PortRange, error) {
	if s == none {
		return lease.PortRange{}, nil
	}
	return lease.ParsePortRange(s)
}

// parseTime reads when something ends: a time, or a day, to whose end in UTC it lasts.
func parseTime(s string) (time.Time, error) {
	if s == never {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, errors.New(`this is neither a day such as "2027-06-30" nor a time such as "2027-06-30T18:00:00Z"`)
	}
	return at.UTC(), nil
}

// Describe says what a rule says, and for whom.
func Describe(r rules.Rule) string {
	parts := []string{"for " + strings.Join(r.Nodes, ", ")}
	for key, value := range r.Said() {
		parts = append(parts, fmt.Sprintf("%s %s", key, value))
	}
	return strings.Join(parts, "; ")
}
