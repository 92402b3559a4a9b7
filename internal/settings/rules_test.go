package settings

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"apquic/rules"
)

func parseRules(text string) (Server, error) {
	s := DefaultServer()
	err := ParseServer("s", []byte(`{"rules": `+text+`}`), &s)
	if err == nil {
		err = s.Validate()
	}
	return s, err
}

// TestServerRules: what single nodes may have, in a file and as a flag, and what check says of it.
func TestServerRules(t *testing.T) {
	t.Parallel()
	const text = `[
		{"maxServices": 40, "nodes": ["nas"], "name": "nas", "ports": "20000-20099", "maxRateIn": "0", "maxClientRate": 0, "leaseTime": "24h"},
		{"name": "guests", "nodes": ["guests*"], "ports": "none", "domains": [], "protocols": ["tcp"], "expires": "2027-06-30", "maxClients": 5, "maxClientsPerAddress": 2, "maxRateOut": "1MB"},
		{"name": "all", "nodes": ["*"], "domains": ["WWW.example.org.", "*.home.example.org", "*"], "expires": "never"}]`
	s, err := parseRules(text)
	if err != nil || len(s.Rules) != 3 {
		t.Fatalf("%+v, %v", s.Rules, err)
	}
	guests := s.Rules[1]
	if !guests.Expires.Value.Equal(time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC)) || !guests.Ports.Value.IsZero() || guests.Ports.By != "guests" || guests.Domains.By != "guests" || len(guests.Domains.Value) != 0 {
		t.Errorf("%+v", guests)
	}
	if nas := s.Rules[0]; nas.MaxServices != (rules.Limit[int]{Value: 40, By: "nas"}) || nas.MaxRateIn != (rules.Limit[int64]{By: "nas"}) || nas.LeaseTime.Value != 24*time.Hour {
		t.Errorf("%+v", nas)
	}
	if all := s.Rules[2]; !slices.Equal(all.Domains.Value, []string{"www.example.org", "*.home.example.org", "*"}) || all.Expires.By != "all" || !all.Expires.Value.IsZero() {
		t.Errorf("%+v", all)
	}
	described := s.Describe()
	for _, want := range []string{
		"rules.nas", "for nas; ports 20000-20099; maxServices 40; leaseTime 24h0m0s; maxClientRate no limit; maxRateIn no limit",
		"for guests*; expires 2027-07-01T00:00:00Z; ports none; domains none; protocols tcp; maxClients 5; maxClientsPerAddress 2; maxRateOut 1MB/s", "for *; expires never; domains all",
	} {
		if !strings.Contains(described, want) {
			t.Errorf("%q is missing in\n%s", want, described)
		}
	}
	var flagged Server
	if err := rulesVar(&flagged.Rules).Set(text); err != nil || !reflect.DeepEqual(flagged.Rules, s.Rules) {
		t.Errorf("as a flag: %+v, %v", flagged.Rules, err)
	}
	again, limits := s.Limits()
	if !reflect.DeepEqual(again, s.Rules) || limits.Ports.Value.String() != "20000-22000" || limits.MaxServices.Value != 16 || limits.Domains.Value != nil || limits.MaxServices.By != "" {
		t.Errorf("%+v", limits)
	}
	before := DefaultServer()
	now, changes := before.Follow(s)
	if len(changes) != 3 || !changes[0].Live || !strings.HasPrefix(changes[0].What, "rules.nas: added, for nas") || len(now.Rules) != 3 {
		t.Errorf("%+v", changes)
	}
}

func TestWrongServerRules(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                                   "rules: this is an object; want a list of rules",
		`[5]`:                                  "rules[0]: this is a number; want an object with name",
		`[{"name": "a", "nodes": ["*"]}]`:      `rule "a": it says nothing`,
		`[{"nodes": ["*"], "maxServices": 1}]`: "name is missing",
		`[{"name": "a", "maxServices": 1}]`:    "nodes is missing",
		`[{"name": "a", "nodes": [], "maxServices": 1}]`:                                                     "it is for no node",
		`[{"name": "a b", "nodes": ["*"], "maxServices": 1}]`:                                                `rule "a b"`,
		`[{"name": "settings", "nodes": ["*"], "maxServices": 1}]`:                                           "choose another name",
		`[{"name": "a", "nodes": ["the attic"], "maxServices": 1}]`:                                          "rules[0].nodes[0]",
		`[{"name": "a", "nodes": ["*"], "maxService": 1}]`:                                                   "did you mean maxServices",
		`[{"name": "a", "nodes": ["*"], "maxServices": 0}]`:                                                  "0 is not from 1 to 65535",
		`[{"name": "a", "nodes": ["*"], "ports": "5-"}]`:                                                     "rules[0].ports",
		`[{"name": "a", "nodes": ["*"], "domains": ["localhost"]}]`:                                          "rules[0].domains[0]",
		`[{"name": "a", "nodes": ["*"], "protocols": ["icmp"]}]`:                                             "neither tcp nor udp",
		`[{"name": "a", "nodes": ["*"], "protocols": []}]`:                                                   "there are none",
		`[{"name": "a", "nodes": ["*"], "expires": "soon"}]`:                                                 "neither a day",
		`[{"name": "a", "nodes": ["*"], "leaseTime": "1ms"}]`:                                                "not from a second to ten years",
		`[{"name": "a", "nodes": ["*"], "maxRateIn": "5"}]`:                                                  "per second",
		`[{"name": "a", "nodes": ["*"], "maxServices": 1}, {"name": "a", "nodes": ["*"], "maxServices": 1}]`: "another rule has this name",
	} {
		if _, err := parseRules(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		var s Server
		if err := rulesVar(&s.Rules).Set(text); err == nil && s.Rules.Check() == nil {
			t.Errorf("%s is a flag", text)
		}
	}
}
