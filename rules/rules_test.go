package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"apquic/certs"
	"apquic/lease"
)

var garage, attic = certs.NodeID{1}, certs.NodeID{2}

// said is a limit of a rule.
func said[T any](by string, value T) Limit[T] { return Limit[T]{value, by} }

func ports(t testing.TB, text string) lease.PortRange {
	t.Helper()
	r, err := lease.ParsePortRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOf: of the rules that name a node the first one that says something about a limit decides it.
func TestOf(t *testing.T) {
	t.Parallel()
	all := Rules{
		{"pi", []string{"garage"}, Limits{MaxServices: said("pi", 2)}},
		{"key", []string{attic.String()}, Limits{MaxServices: said("key", 3), MaxRateIn: said[int64]("key", 0)}},
		{"guests", []string{"guests-*"}, Limits{MaxServices: said("guests", 1)}},
		{"others", []string{"*"}, Limits{MaxServices: said("others", 4), MaxRateIn: said[int64]("others", 5000), MaxClients: said("others", 6)}},
	}
	if err := all.Check(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		id     certs.NodeID
		name   string
		want   string
		naming string
	}{
		{garage, "garage", "maxServices=2 by pi, maxClients=6 by others, maxRateIn=5KB/s by others", "pi others"},
		{attic, "", "maxServices=3 by key, maxClients=6 by others, maxRateIn=no limit by key", "key others"},
		{attic, "guests-1", "maxServices=3 by key, maxClients=6 by others, maxRateIn=no limit by key", "key guests others"},
		{garage, "guests-12", "maxServices=1 by guests, maxClients=6 by others, maxRateIn=5KB/s by others", "guests others"},
		{garage, "guests", "maxServices=4 by others, maxClients=6 by others, maxRateIn=5KB/s by others", "others"},
		{garage, "", "maxServices=4 by others, maxClients=6 by others, maxRateIn=5KB/s by others", "others"},
		{garage, attic.String(), "maxServices=4 by others, maxClients=6 by others, maxRateIn=5KB/s by others", "others"}, // another Admitter may give that name
		{certs.NodeID{}, "", "maxServices=4 by others, maxClients=6 by others, maxRateIn=5KB/s by others", "others"},
	} {
		l := all.Of(test.id, test.name)
		var got []string
		for _, d := range l.Explain(Limits{}) {
			if d.Rule != "" {
				got = append(got, fmt.Sprintf("%s=%s by %s", d.Limit, d.Value, d.Rule))
			}
		}
		if text := strings.Join(got, ", "); text != test.want {
			t.Errorf("%v %q: %s, want %s", test.id, test.name, text, test.want)
		}
		if naming := strings.Join(all.Naming(test.id, test.name), " "); naming != test.naming {
			t.Errorf("%v %q is named by %s, want %s", test.id, test.name, naming, test.naming)
		}
	}
	if l := (Rules{}).Of(garage, "garage"); l.saysAnything() {
		t.Errorf("no rule says %+v", l)
	}
}

// TestRefuse: what a node may not have, and which rule says so.
func TestRefuse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	key := lease.Key{Node: garage, Service: "web"}
	some := Limits{
		Ports: said("p", ports(t, "20000-20009,30000")), Domains: said("d", []string{"www.example.org", "*.home.example.org"}), Protocols: said("t", []string{TCP}),
	}
	over := Limits{Expires: said("e", now)}
	for _, test := range []struct {
		what   string
		limits Limits
		asked  lease.Request
		want   string // empty: it is allowed
	}{
		{"any port", some, lease.Request{Key: key}, ""},
		{"a port", some, lease.Request{Key: key, WantedPort: 30000}, ""},
		{"another port", some, lease.Request{Key: key, WantedPort: 20010}, `this node may not have the public port 20010, only: 20000-20009,30000 (rule "p" of the server)`},
		{"a domain", some, lease.Request{Key: key, Domain: "www.example.org"}, ""},
		{"one of many", some, lease.Request{Key: key, Domain: "a.home.example.org"}, ""},
		{"all of these", some, lease.Request{Key: key, Domain: "*.home.example.org"}, ""},
		{"two levels", some, lease.Request{Key: key, Domain: "a.b.home.example.org"}, `this node may not have the domain a.b.home.example.org, only: www.example.org, *.home.example.org (rule "d" of the server)`},
		{"the level above", some, lease.Request{Key: key, Domain: "home.example.org"}, `this node may not have the domain home.example.org, only: www.example.org, *.home.example.org (rule "d" of the server)`},
		{"a wider name", some, lease.Request{Key: key, Domain: "*.example.org"}, `this node may not have the domain *.example.org, only: www.example.org, *.home.example.org (rule "d" of the server)`},
		{"UDP", some, lease.Request{Key: key, Transport: lease.UDP}, `this node may have no services over UDP (rule "t" of the server)`},
		{"both", some, lease.Request{Key: key, Transport: lease.TCPAndUDP}, `this node may have no services over UDP (rule "t" of the server)`},
		{"TCP", Limits{Protocols: said("t", []string{UDP})}, lease.Request{Key: key}, `this node may have no services over TCP (rule "t" of the server)`},
		{"a domain, which is over TCP", Limits{Protocols: said("t", []string{UDP})}, lease.Request{Key: key, Domain: "www.example.org"}, `this node may have no services over TCP (rule "t" of the server)`},
		{"a group", some, lease.Request{Key: lease.Key{Service: "photos"}, WantedPort: 5, Transport: lease.UDP}, ""},
		{"no ports", Limits{Ports: said("n", lease.PortRange{})}, lease.Request{Key: key}, `this node may have no public ports (rule "n" of the server)`},
		{"no ports, but a domain", Limits{Ports: said("n", lease.PortRange{})}, lease.Request{Key: key, Domain: "www.example.org"}, ""},
		{"no domains", Limits{Domains: said[[]string]("n", nil)}, lease.Request{Key: key, Domain: "www.example.org"}, `this node may not have the domain www.example.org, only: none (rule "n" of the server)`},
		{"all domains", Limits{Domains: said("n", []string{Everyone})}, lease.Request{Key: key, Domain: "*.example.org"}, ""},
		{"too late", over, lease.Request{Key: key}, `this node may have no services since 2026-11-26T12:00:00Z (rule "e" of the server)`},
		{"a group too late", over, lease.Request{Key: lease.Key{Service: "photos"}}, `this node may have no services since 2026-11-26T12:00:00Z (rule "e" of the server)`},
		{"in time", Limits{Expires: said("e", now.Add(1))}, lease.Request{Key: key}, ""},
		{"never", Limits{Expires: said("e", time.Time{})}, lease.Request{Key: key}, ""},
		{"nothing said", Limits{}, lease.Request{Key: key, Transport: lease.TCPAndUDP, WantedPort: 1}, ""},
	} {
		err := test.limits.Refuse(test.asked, now)
		refusal, refused := errors.AsType[*Refusal](err)
		switch {
		case test.want == "" && err != nil, test.want != "" && (!refused || err.Error() != test.want || refusal.Rule == ""):
			t.Errorf("%s: %v, want %q", test.what, err, test.want)
		}
		has := lease.Lease{Key: test.asked.Key, Port: test.asked.WantedPort, Domain: test.asked.Domain, Transport: test.asked.Transport}
		if again := test.limits.RefuseLease(has, now); (again == nil) != (err == nil) {
			t.Errorf("%s: to have it is %v, to ask %v", test.what, again, err)
		}
	}
}

// TestApply: what a request gets of the limits.
func TestApply(t *testing.T) {
	t.Parallel()
	l := Limits{Ports: said("p", ports(t, "20000")), MaxServices: said("s", 3)}
	r := lease.Request{Key: lease.Key{Node: garage, Service: "web"}}
	if l.Apply(&r); r.Ports.String() != "20000" || r.MaxPerNode != 3 {
		t.Errorf("%+v", r)
	}
	r = lease.Request{Key: lease.Key{Node: garage, Service: "web"}, Domain: "www.example.org"}
	if l.Apply(&r); !r.Ports.IsZero() || r.MaxPerNode != 3 {
		t.Errorf("a domain: %+v", r)
	}
	r = lease.Request{Key: lease.Key{Service: "photos"}}
	if l.Apply(&r); !r.Ports.IsZero() || r.MaxPerNode != 0 {
		t.Errorf("a group: %+v", r)
	}
}

// TestExplain: where no rule says anything, the settings do.
func TestExplain(t *testing.T) {
	t.Parallel()
	settings := Limits{
		Ports: said("", ports(t, "20000-22000")), Domains: said("", []string{Everyone}), Protocols: said("", []string{TCP, UDP}),
		MaxServices: said("", 16), LeaseTime: said("", 3*time.Hour), MaxClients: said("", 4096), MaxRateOut: said[int64]("", 1e6),
	}
	l := Limits{Ports: said("guests", lease.PortRange{}), MaxServices: said("guests", 2), Expires: said("guests", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))}
	want := []Decision{
		{"expires", "2027-01-01T00:00:00Z", "guests"}, {"ports", "none", "guests"}, {"domains", "all", ""}, {"protocols", "tcp, udp", ""}, {"maxServices", "2", "guests"},
		{"leaseTime", "3h0m0s", ""}, {"maxClients", "4096", ""}, {"maxClientsPerAddress", "0", ""}, {"maxClientRate", "no limit", ""}, {"maxRateIn", "no limit", ""}, {"maxRateOut", "1MB/s", ""}, {"maxMonthBytes", "no limit", ""},
	}
	if got := l.Explain(settings); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestCheck: what rules must not be.
func TestCheck(t *testing.T) {
	t.Parallel()
	ok := Limits{MaxServices: said("a", 1)}
	many := make(Rules, maxRules+1)
	for name, all := range map[string]Rules{
		"there are 257 rules":        many,
		"rule 1 has no name":         {{"", []string{"*"}, ok}},
		"choose another name":        {{"settings", []string{"*"}, Limits{MaxServices: said("settings", 1)}}},
		"another rule has this name": {{"a", []string{"*"}, ok}, {"a", []string{"*"}, ok}},
		`rule "a b"`:                 {{"a b", []string{"*"}, Limits{MaxServices: said("a b", 1)}}},
		"it is for no node":          {{"a", nil, ok}},
		"it is for 1025 nodes":       {{"a", make([]string, maxNodes+1), ok}},
		`"the attic" is nobody`:      {{"a", []string{"the attic"}, ok}},
		`"" is nobody`:               {{"a", []string{""}, ok}},
		`"a*b" is nobody`:            {{"a", []string{"a*b"}, ok}},
		`"**" is nobody`:             {{"a", []string{"**"}, ok}},
		"it says nothing":            {{"a", []string{"*"}, Limits{}}},
		`is said by "b"`:             {{"a", []string{"*"}, Limits{MaxServices: said("b", 1)}}},
		"maxServices: 0 is not":      {{"a", []string{"*"}, Limits{MaxServices: said("a", 0)}}},
		"maxClients: 0 is not":       {{"a", []string{"*"}, Limits{MaxClients: said("a", 0)}}},
		"maxClientRate: -1 is not":   {{"a", []string{"*"}, Limits{MaxClientRate: said("a", -1)}}},
		"maxRateIn: 5 bytes":         {{"a", []string{"*"}, Limits{MaxRateIn: said[int64]("a", 5)}}},
		"not from a second":          {{"a", []string{"*"}, Limits{LeaseTime: said("a", time.Millisecond)}}},
		"to ten years":               {{"a", []string{"*"}, Limits{LeaseTime: said("a", 2_000_000*time.Hour)}}},
		"maxMonthBytes: 5 bytes":     {{"a", []string{"*"}, Limits{MaxMonthBytes: said[int64]("a", 5)}}},
		"neither tcp nor udp":        {{"a", []string{"*"}, Limits{Protocols: said("a", []string{"icmp"})}}},
		"there are none":             {{"a", []string{"*"}, Limits{Protocols: said[[]string]("a", nil)}}},
		"is not a domain":            {{"a", []string{"*"}, Limits{Domains: said("a", []string{"localhost"})}}},
		"there are 1025 names":       {{"a", []string{"*"}, Limits{Domains: said("a", make([]string, maxDomains+1))}}},
	} {
		if err := all.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Rules{{"a", []string{"*", "garage", "guests-*", garage.String()}, ok}}).Check(); err != nil {
		t.Error(err)
	}
}

// FuzzRefuse: whatever a node asks for, it gets nothing outside of its limits, and a refusal names a rule.
func FuzzRefuse(f *testing.F) {
	f.Add("20000-20010,30000", "www.example.org *.home.example.org", "tcp", uint16(20000), "a.home.example.org", uint8(0), true)
	f.Add("", "", "udp", uint16(0), "", uint8(2), false)
	f.Fuzz(func(t *testing.T, allowed, domains, protocol string, port uint16, name string, transport uint8, said bool) {
		r, err := lease.ParsePortRange(allowed)
		if err != nil || transport > uint8(lease.TCPAndUDP) {
			return
		}
		var l Limits
		if said {
			l = Limits{Ports: Limit[lease.PortRange]{r, "a"}, Domains: Limit[[]string]{strings.Fields(domains), "a"}, Protocols: Limit[[]string]{[]string{protocol}, "a"}}
		}
		asked := lease.Request{Key: lease.Key{Node: garage, Service: "web"}, WantedPort: port, Domain: name, Transport: lease.Transport(transport)}
		err = l.Refuse(asked, time.Now())
		if refusal, ok := errors.AsType[*Refusal](err); err != nil && (!ok || refusal.Rule != "a" || !said) {
			t.Fatalf("%+v: %v", asked, err)
		}
		if err != nil || !said {
			return
		}
		l.Apply(&asked)
		switch {
		case asked.Transport.HasTCP() && protocol != TCP, asked.Transport.HasUDP() && protocol != UDP:
			t.Fatalf("%+v over %s", asked, protocol)
		case name == "" && (asked.Ports.IsZero() || port != 0 && !r.Contains(port)):
			t.Fatalf("%+v of %v", asked, r)
		case name != "" && !strings.Contains(" "+domains+" ", name[strings.IndexByte(name, '.')+1:]) && !slices.Contains(strings.Fields(domains), Everyone):
			t.Fatalf("%+v of %s", asked, domains)
		}
	})
}

// TestSpent: from when on a node has no bytes left, and by which rule.
func TestSpent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		limit Limit[int64]
		used  uint64
		want  string
	}{
		{Limit[int64]{}, 1 << 62, ""},
		{said[int64]("guests", 0), 1 << 62, ""}, // no limit, whatever the rules for all say
		{said[int64]("guests", 5e9), 5e9 - 1, ""},
		{said[int64]("guests", 5e9), 5e9, "guests"},
		{said[int64]("guests", 5e9), 1<<64 - 1, "guests"},
	} {
		if got := (Limits{MaxMonthBytes: test.limit}).Spent(test.used); got != test.want {
			t.Errorf("%+v, %d used: %q", test.limit, test.used, got)
		}
	}
}
