package settings

import (
	"net/netip"
	"strings"
	"testing"
)

func TestServiceWithDomain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Site{
		`"domain": "Photos.Example.org."`:                                   {Domain: "photos.example.org"},
		`"domain": "*.bücher.example", "http": "redirect"`:                  {Domain: "*.xn--bcher-kva.example"},
		`"domain": "a.example.org", "tls": "pass", "http": "serve"`:         {Domain: "a.example.org", TLS: TLSPass, PlainHTTP: true},
		`"domain": "a.example.org", "tls": "node"`:                          {Domain: "a.example.org", TLS: TLSNode},
		`"domain": "*.example.org", "certificate": "a.pem", "key": "a.key"`: {Domain: "*.example.org", Certificate: "a.pem", Key: "a.key"},
	} {
		var n Node
		err := ParseNode("s", []byte(`{"services": {"web": {"upstream": "127.0.0.1:80", `+text+`}}}`), &n)
		if err != nil || len(n.Services) != 1 || n.Services[0].Site != want {
			t.Errorf("%s: %+v, %v, want %+v", text, n.Services, err, want)
		}
	}
	for text, want := range map[string]string{
		`"domain": "192.0.2.1"`:                      "is an IP address",
		`"domain": "localhost"`:                      "at least two parts",
		`"domain": "a.example.org", "tls": "server"`: `server is none of ["pass"`,
		`"domain": "a.example.org", "http": "maybe"`: `maybe is none of ["redirect" "serve"]`,
	} {
		var n Node
		err := ParseNode("s", []byte(`{"services": {"web": {"upstream": "127.0.0.1:80", `+text+`}}}`), &n)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestServicesWithDomainsTogether(t *testing.T) {
	t.Parallel()
	node := func(services ...Service) error {
		n := DefaultNode()
		n.Services = services
		return n.faults().errors()
	}
	web := Service{Name: "web", Upstream: "tcp://127.0.0.1:80", Site: Site{Domain: "a.example.org"}}
	other := web
	other.Name = "other"
	if err := node(web, other); err == nil || !strings.Contains(err.Error(), "a.example.org is also the domain of web") {
		t.Errorf("a domain twice: %v", err)
	}
	other.PublicPort, other.Domain = 20000, "b.example.org"
	if err := node(web, other); err == nil || !strings.Contains(err.Error(), "either a domain or a publicPort") {
		t.Errorf("a domain with a port: %v", err)
	}
	for _, site := range []Site{{Certificate: "a.pem", Key: "a.key"}, {PlainHTTP: true}} {
		other.PublicPort, other.Site = 0, site
		if err := node(other); err == nil || !strings.Contains(err.Error(), "for a service with a domain") {
			t.Errorf("%+v without a domain: %v", site, err)
		}
	}
	for _, site := range []Site{{TLS: TLSPass}, {TLS: TLSNode}, {TLS: TLSTerminate, PlainHTTP: true}} {
		if other.Site = site; node(other) != nil {
			t.Errorf("%+v without a domain: %v", site, node(other))
		}
	}
	other.Site = Site{}
	other.Domain = "b.example.org"
	if err := node(web, other); err != nil {
		t.Error(err)
	}
	for want, site := range map[string]Site{
		"belong together":    {Domain: "b.example.org", TLS: TLSNode, Key: "a.key"},
		`are for tls "node"`: {Domain: "b.example.org", TLS: TLSTerminate, Certificate: "a.pem", Key: "a.key"},
		`for tls "node"`:     {Domain: "b.example.org", TLS: TLSPass, Certificate: "a.pem", Key: "a.key"},
		"no authority gives": {Domain: "*.example.org", TLS: TLSNode},
		"of many owners":     {Domain: "*.co.uk", TLS: TLSPass},
	} {
		other.Site = site
		if err := node(other); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", site, err, want)
		}
	}
	for want, service := range map[string]Service{
		"over TCP only":           {Upstream: "udp://127.0.0.1:80"},
		"a domain is reached":     {Upstream: "tcp+udp://127.0.0.1:80", Site: Site{TLS: TLSNode}},
		"a proxy is no web site":  {Upstream: "socks5:", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Site: Site{TLS: TLSNode}},
		"leave out proxyProtocol": {Upstream: "http://127.0.0.1:80", ProxyProtocol: 2},
	} {
		service.Name, service.Domain = "web", "a.example.org"
		if err := node(service); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", service, err, want)
		}
	}
	for _, test := range []struct {
		site  Service
		ends  bool
		tls   uint32
		ifAny bool
	}{
		{Service{Upstream: "http://127.0.0.1:80", Site: Site{Domain: "a.example.org"}}, true, 1, false},
		{Service{Upstream: "tcp://127.0.0.1:80", Site: Site{Domain: "a.example.org"}}, false, 1, false},
		{Service{Upstream: "tcp://127.0.0.1:80", Site: Site{Domain: "a.example.org", Certificate: "a.pem"}}, true, 1, false},
		{Service{Upstream: "http://127.0.0.1:80", Site: Site{Domain: "a.example.org", TLS: TLSPass}}, false, 1, false},
		{Service{Upstream: "http://127.0.0.1:80", Site: Site{Domain: "a.example.org", TLS: TLSTerminate}}, false, 2, false},
		{Service{Upstream: "tcp://127.0.0.1:22", Site: Site{Domain: "a.example.org", TLS: TLSTerminate}}, false, 3, false},
		{Service{Upstream: "http://127.0.0.1:80"}, false, 2, true},
		{Service{Upstream: "http://127.0.0.1:80", Host: "nas"}, false, 2, true},
		{Service{Upstream: "http://127.0.0.1:80", Host: "nas", Site: Site{TLS: TLSTerminate}}, false, 2, false},
		{Service{Upstream: "http://127.0.0.1:80", Host: "nas", Site: Site{TLS: TLSNode}}, true, 1, false},
		{Service{Upstream: "file:/srv/www", Site: Site{TLS: TLSTerminate}}, false, 2, false},
		{Service{Upstream: "tcp://127.0.0.1:80"}, false, 0, false},
		{Service{Upstream: "tcp://127.0.0.1:80", Site: Site{TLS: TLSNode}}, true, 1, false},
	} {
		tls, ifAny := test.site.ServerTLS()
		if test.site.EndsTLS() != test.ends || test.site.EndsHTTP() != (test.ends || test.site.Host != "") || tls != test.tls || ifAny != test.ifAny {
			t.Errorf("%+v: %v, %d, %v", test.site, test.site.EndsTLS(), tls, ifAny)
		}
	}
}

// TestTermination: what a server needs to end TLS and to give names.
func TestTermination(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"domain": "tunnel.example.org"`:                     "need a port for TLS",
		`"acme": true`:                                       "need a port for TLS",
		`"certificates": "/etc/ssl"`:                         "need a port for TLS",
		`"https": ":443", "domain": "*.example.org"`:         "without *",
		`"https": ":443", "domain": "Tunnel.example.org"`:    "lower case",
		`"https": ":443", "domain": "localhost"`:             "at least two parts",
		`"https": ":443", "acmeDirectory": "http://a.org/d"`: "https://",
		`"https": ":443", "domain": "tunnel.example.org", "acme": true, "certificates": "/etc/ssl", "acmeDirectory": "https://a.org/d"`: "",
	} {
		s := DefaultServer()
		err := ParseServer("s", []byte("{"+text+"}"), &s)
		if err == nil {
			err = s.Validate()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
