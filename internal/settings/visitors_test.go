package settings

import (
	"fmt"
	"strings"
	"testing"
)

// TestVisitors: who may visit a service, as it is written and as check explains it.
func TestVisitors(t *testing.T) {
	t.Parallel()
	n := DefaultNode()
	err := ParseNode("n", []byte(`{"services": {"web": {
		"upstream": "127.0.0.1:80", "allow": ["192.0.2.0/24", "2001:db8::1"], "deny": "192.0.2.7",
		"allowCountries": ["de", "AT"], "denyCountries": "FR",
		"maxClientsPerAddress": 5, "maxClientRate": 10, "maxRateIn": "100KB", "maxRateOut": "1MB",
	}}}`), &n)
	const want = `{[192.0.2.0/24 2001:db8::1/128] [192.0.2.7/32] [DE AT] [FR] 5 10 100000 1000000}`
	if err != nil || fmt.Sprint(n.Services[0].Visitors) != want {
		t.Errorf("%v, %v, want %s", n.Services[0].Visitors, err, want)
	}
	const says = ", only for visitors from 192.0.2.0/24,2001:db8::1/128, not for visitors from 192.0.2.7/32, only for visitors in DE,AT, " +
		"not for visitors in FR, with 5 connections per address at once, with 10 new connections per address and second, with 100KB/s from visitors, with 1MB/s to visitors"
	if got := n.Describe(); !strings.Contains(got, says) {
		t.Errorf("described as %s", got)
	}
	networks := strings.Repeat(`"192.0.2.0/24", `, 65)
	for text, want := range map[string]string{
		`"allow": ["lan"]`:              "n:1: services.web.allow[0]: lan is not a network",
		`"allow": [` + networks + `]`:   "n:1: services.web: a service has 65 networks in a list, of 64 at most",
		`"denyCountries": ["Germany"]`:  "n:1: services.web.denyCountries[0]: Germany is not the code of a country",
		`"denyCountries": "uk"`:         "n:1: services.web.denyCountries: uk is not the code of a country, did you mean GB?",
		`"allowCountries": true`:        "n:1: services.web.allowCountries: this is true; want a list of codes of countries",
		`"maxRateIn": "100"`:            "n:1: services.web.maxRateIn: 100 per second is not from 1KiB to 1024GiB",
		`"maxRateOut": "fast"`:          "n:1: services.web.maxRateOut: fast is not a size",
		`"maxClientRate": -1`:           "n:1: services.web.maxClientRate: -1 is not from 0 to 1000000",
		`"maxClientsPerAddress": "all"`: "n:1: services.web.maxClientsPerAddress: all is not a whole number",
	} {
		err := ParseNode("n", []byte(`{"services": {"web": {"upstream": "127.0.0.1:80", `+text+`}}}`), &n)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestVisitorsOfServer: the same for all services of a server.
func TestVisitorsOfServer(t *testing.T) {
	t.Parallel()
	s := DefaultServer()
	err := ParseServer("s", []byte(`{"allowClients": "192.0.2.0/24", "denyClients": ["10.0.0.0/8"], "allowCountries": ["DE"],
		"denyCountries": ["FR"], "countries": "/x.mmdb", "maxClientRate": 5, "maxRateIn": "2MB", "maxRateOut": "1GiB"}`), &s)
	const want = `{[192.0.2.0/24] [10.0.0.0/8] [DE] [FR] 0 5 2000000 1073741824}`
	if err != nil || fmt.Sprint(s.Visitors) != want || s.Countries != "/x.mmdb" || s.Validate() != nil {
		t.Errorf("%v, %v, want %s", s.Visitors, err, want)
	}
	s = DefaultServer()
	if err := ParseServer("s", []byte(`{"allowCountries": ["DE"]}`), &s); err != nil {
		t.Errorf("a flag may name the file: %v", err)
	}
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "allowCountries: the countries of addresses are not known") {
		t.Errorf("without a file: %v", err)
	}
	if err := ParseServer("s", []byte(`{"denyClients": [`+strings.Repeat(`"192.0.2.0/24", `, 1025)+`]}`), &s); err == nil {
		t.Error("1025 networks are welcome")
	}
}
