package request

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/server/internal/members"
)

var withFlows = framing.FeatureSet(framing.FeatureFlows)

func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		transport uint32
		want      lease.Transport
	}{{0, lease.TCP}, {1, lease.TCP}, {2, lease.UDP}, {3, lease.TCPAndUDP}} {
		r, _, err := Read(&framing.ProxyRequest{
			Service: "web", OriginAddress: "tcp://127.0.0.1:80", WantedPort: 20000, Transport: test.transport, Services: []string{"ssh", "web"},
		}, certs.NodeID{1}, withFlows, false)
		if err != nil || r.Service != "web" || r.Origin != "tcp://127.0.0.1:80" || r.WantedPort != 20000 || r.Transport != test.want ||
			r.Domain != "" || !slices.Equal(r.Services, []string{"ssh", "web"}) {
			t.Errorf("transport %d: %+v, %v", test.transport, r, err)
		}
	}
	r, _, err := Read(&framing.ProxyRequest{Service: "web", Domain: "www.example.org", Tls: 1, PlainHttp: true}, certs.NodeID{1}, 0, false)
	if err != nil || r.Domain != "www.example.org" || r.Transport != lease.TCP || r.WantedPort != 0 {
		t.Errorf("domain: %+v, %v", r, err)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		request *framing.ProxyRequest
		code    framing.ErrorCode
		text    string
	}{
		{&framing.ProxyRequest{Service: "web", WantedPort: 1 << 16}, framing.ErrorPortOutOfRange, "there is no port 65536"},
		{&framing.ProxyRequest{}, framing.ErrorBadRequest, "name"},
		{&framing.ProxyRequest{Service: "a b"}, framing.ErrorBadRequest, "name"},
		{&framing.ProxyRequest{Service: "web", OriginAddress: "nonsense"}, framing.ErrorBadRequest, "nonsense"},
		{&framing.ProxyRequest{Service: "web", Transport: 4}, framing.ErrorBadRequest, "no transport 4"},
		{&framing.ProxyRequest{Service: "web", Transport: 99, Domain: "www.example.org"}, framing.ErrorBadRequest, "no transport 99"},
		{&framing.ProxyRequest{Service: "web", Transport: 2}, framing.ErrorBadRequest, "without flows"},
		{&framing.ProxyRequest{Service: "web", Transport: 3}, framing.ErrorBadRequest, "without flows"},
		{&framing.ProxyRequest{Service: "web", CanarySeconds: 60}, framing.ErrorBadRequest, "knows no canaries"},
		{&framing.ProxyRequest{Service: "ssh", AllowNodes: []string{"laptop"}}, framing.ErrorBadRequest, "only a private service"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, WantedPort: 20000}, framing.ErrorBadRequest, "neither port nor domain"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, Tls: 2}, framing.ErrorBadRequest, "no name"},
		{&framing.ProxyRequest{Service: "web", Group: "web", Tls: 2}, framing.ErrorBadRequest, "of one node each"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, Domain: "www.example.org"}, framing.ErrorBadRequest, "neither port nor domain"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, Visitors: &framing.VisitorRules{ClientRate: 1}}, framing.ErrorBadRequest, "allow_nodes"},
		{&framing.ProxyRequest{Service: "web", Group: "photos", Visitors: &framing.VisitorRules{ClientRate: 1}}, framing.ErrorBadRequest, "for the server to say"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, Group: "photos"}, framing.ErrorBadRequest, "not of a group"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, Transport: 99}, framing.ErrorBadRequest, "no transport 99"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, AllowNodes: []string{""}}, framing.ErrorBadRequest, "empty or too long"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, AllowNodes: []string{strings.Repeat("x", framing.MaxNodeName+1)}}, framing.ErrorBadRequest, "empty or too long"},
		{&framing.ProxyRequest{Service: "ssh", Private: true, AllowNodes: make([]string, framing.MaxAllowNodes+1)}, framing.ErrorBadRequest, "33 nodes"},
		{&framing.ProxyRequest{Service: "web", Tls: 4}, framing.ErrorBadRequest, "no way 4"},
		{&framing.ProxyRequest{Service: "web", PlainHttp: true}, framing.ErrorBadRequest, "only a service with a name"},
		{&framing.ProxyRequest{Service: "web", Domain: "www.example.org", Tls: 9}, framing.ErrorBadRequest, "no way 9"},
		{&framing.ProxyRequest{Service: "web", Visitors: &framing.VisitorRules{Deny: []string{"lan"}}}, framing.ErrorBadRequest, `"lan" is not a network`},
		{&framing.ProxyRequest{Service: "web", Visitors: &framing.VisitorRules{DenyCountries: []string{"FR"}}}, framing.ErrorNoCountries, "countries"},
	} {
		_, _, err := Read(test.request, certs.NodeID{1}, 0, false)
		failure, ok := errors.AsType[*quicproxy.FailureError](err)
		if !ok || failure.Code != test.code || !strings.Contains(failure.Text, test.text) {
			t.Errorf("%v: %v, want %v with %q", test.request, err, test.code, test.text)
		}
	}
	named := &framing.ProxyRequest{Service: "web", Tls: 2, Transport: 2}
	if _, _, err := Read(named, certs.NodeID{1}, withFlows, false); err == nil || !strings.Contains(err.Error(), "over TCP only") {
		t.Errorf("a name over UDP: %v", err)
	}
	udp := &framing.ProxyRequest{Service: "web", Domain: "www.example.org", Transport: 2}
	if _, _, err := Read(udp, certs.NodeID{1}, withFlows, false); err == nil || !strings.Contains(err.Error(), "over TCP only") {
		t.Errorf("a domain over UDP: %v", err)
	}
}

// TestServiceNamesAreBounded: what a node says of its other services.
func TestServiceNamesAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		services []string
		ok       bool
	}{
		"none":      {nil, true},
		"itself":    {[]string{"s0"}, true},
		"most":      {many(framing.MaxServiceNames), true},
		"too many":  {many(framing.MaxServiceNames + 1), false},
		"bad name":  {[]string{"s0", "S1"}, false},
		"no name":   {[]string{"s0", ""}, false},
		"others":    {[]string{"s1"}, false},
		"long name": {[]string{"s0", strings.Repeat("x", 65)}, false},
	} {
		if _, _, err := Read(&framing.ProxyRequest{Service: "s0", Services: test.services}, certs.NodeID{1}, 0, false); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// many are the names of n services.
func many(n int) (names []string) {
	for i := range n {
		names = append(names, "s"+strconv.Itoa(i))
	}
	return names
}

// FuzzRead: whatever a node asks for, it gets a lease of one of the known kinds, or a failure.
func FuzzRead(f *testing.F) {
	f.Add("web", "tcp://127.0.0.1:80", uint32(20000), uint32(1), "", uint32(0), false, "web", "", true)
	f.Add("web", "", uint32(0), uint32(99), "www.example.org", uint32(2), true, "", "photos", false)
	f.Fuzz(func(t *testing.T, service, origin string, port, transport uint32, domain string, tls uint32, plain bool, other, group string, flows bool) {
		r := &framing.ProxyRequest{
			Service: service, OriginAddress: origin, WantedPort: port, Transport: transport, Domain: domain, Tls: tls, PlainHttp: plain, Services: []string{other}, Group: group,
		}
		var has framing.Features
		if flows {
			has = withFlows
		}
		got, _, err := Read(r, certs.NodeID{1}, has, false)
		if _, failed := errors.AsType[*quicproxy.FailureError](err); failed {
			return
		}
		if err != nil || got.Transport > lease.TCPAndUDP || got.Transport.HasUDP() && (!flows || got.Domain != "") || got.Service != cmp.Or(group, service) || got.IsGroup() != (group != "") || other != service {
			t.Fatalf("%v: %+v, %v", r, got, err)
		}
	})
}

// TestReadGroup: a request for a group is for the group's lease, whoever asks, and says nothing of the node
// that would be written; what the node says of its own service is in the offer.
func TestReadGroup(t *testing.T) {
	t.Parallel()
	node := certs.NodeID{1}
	asked := &framing.ProxyRequest{
		Service: "web", Group: "photos", OriginAddress: "tcp://127.0.0.1:80", WantedPort: 20000, Services: []string{"ssh", "web"},
		Unhealthy: true, PlainHttp: true, Movable: true, Domain: "www.example.org",
	}
	r, _, err := Read(asked, node, withFlows, false)
	if err != nil || r.Key != (lease.Key{Service: "photos"}) || r.Origin != "" || r.Services != nil || r.WantedPort != 20000 {
		t.Errorf("%+v, %v", r, err)
	}
	if o := Offer(asked, node); o != (members.Offer{Node: node, Service: "web", Movable: true, Unhealthy: true, PlainHTTP: true}) {
		t.Errorf("%+v", o)
	}
	if text := fmt.Sprint(Attrs(asked, "public", "x")); text != "[service web public x group photos unhealthy true origin tcp://127.0.0.1:80]" {
		t.Error(text)
	}
	for _, name := range []string{"Photos", "a b", strings.Repeat("x", 65)} {
		if _, _, err := Read(&framing.ProxyRequest{Service: "web", Group: name}, node, withFlows, false); err == nil {
			t.Errorf("group %q: no error", name)
		}
	}
}
