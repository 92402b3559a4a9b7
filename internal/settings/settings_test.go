package settings

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"apquic/certs"
)

func validNode(t *testing.T) Node {
	n := DefaultNode()
	n.DataDir = "/d"
	n.Server = certs.Invitation{Server: mustID(t, serverID), Host: "example.com", Port: 8090, Secret: []byte("Hello World!")}
	n.Services = []Service{{Name: "web", Upstream: "tcp://127.0.0.1:80"}, {Name: "ssh", Upstream: "tcp://127.0.0.1:22", PublicPort: 20022}}
	return n
}

func TestValidateServer(t *testing.T) {
	t.Parallel()
	s := DefaultServer()
	s.DataDir = "/d"
	if err := s.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	s.Listen, s.Drain, s.Park = "0.0.0.0:0", 0, 0
	if err := s.Validate(); err != nil {
		t.Errorf("zeros that are allowed: %v", err)
	}
	wantMistakes(t, Server{}.Validate(), []string{"listen: "}, []string{"range: there are no ports"}, []string{"dataDir: there is no data directory"},
		[]string{"leaseTime: "}, []string{"maxServices: "}, []string{"maxLeasesPerAddress: "}, []string{"maxClients: "}, []string{"maxClientsPerAddress: "}, []string{"flowIdle: "}, []string{"idleTimeout: "},
		[]string{"logLevel: "}, []string{"logFormat: "}, []string{"accessLogFormat: "}, []string{"ipv4: ", "both off"})
	s.Listen, s.IPv6, s.PublicHost, s.PublicListen = "[::1]:8090", false, "a b", "::1"
	wantMistakes(t, s.Validate(), []string{"publicHost: "}, []string{"listen: ::1 is an IPv6 address, and ipv6 is off"},
		[]string{"publicListen: ::1 is an IPv6 address, and ipv6 is off"})
	s.PublicListen, s.DebugAddress = "127.0.0.1:80", ":6060"
	wantMistakes(t, s.Validate(), []string{"publicHost: "}, []string{"publicListen: 127.0.0.1:80 is not an IP address"},
		[]string{"debugAddress: want an IP address and a port of this machine alone"}, []string{"listen: "})
}

// TestAdminAddress: no address is open to other machines where a token would be read on its way.
func TestAdminAddress(t *testing.T) {
	t.Parallel()
	s, n := DefaultServer(), validNode(t)
	s.DataDir, s.AdminAddress, n.AdminAddress = "/d", "127.0.0.1:8091", "[::1]:8091"
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if err := n.Validate(); err != nil {
		t.Error(err)
	}
	s.AdminAddress, n.AdminAddress = ":8091", "8091"
	wantMistakes(t, s.Validate(), []string{"admin: :8091 can be reached from other machines"})
	wantMistakes(t, n.Validate(), []string{"admin: want an IP address and a port"})
	if hint := hintOf(s.Validate()); !strings.Contains(hint, "--admins") {
		t.Errorf("the hint is %q", hint)
	}
	s.Admins = []certs.NodeID{mustID(t, serverID)}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	s.AdminAddress = ""
	wantMistakes(t, s.Validate(), []string{"admin: there is no address"})
}

func TestValidateNode(t *testing.T) {
	t.Parallel()
	n := validNode(t)
	if err := n.Validate(); err != nil {
		t.Fatal(err)
	}
	n.Services = append(n.Services, Service{Name: "web", Upstream: "tcp://127.0.0.1:81", PublicPort: 20022}, Service{Name: "A", Upstream: "x"})
	n.Server.Host, n.IPv4 = "192.0.2.1", false
	n.Drain = -time.Second
	wantMistakes(t, n.Validate(), []string{"drain: -1s is not from 0s to 1h"}, []string{"server: 192.0.2.1 is an IPv4 address, and ipv4 is off"},
		[]string{"services.web: two services have this name"}, []string{"services.web.publicPort: 20022 is also the public port of ssh"},
		[]string{"services.A: "}, []string{"services.A: "})

	empty := DefaultNode()
	empty.DataDir = "/d"
	err := empty.Validate()
	wantMistakes(t, err, []string{"server: there is no server"}, []string{"services: there is no service"})
	if hint := hintOf(err); !strings.Contains(hint, "--server") {
		t.Errorf("hint %q, want one that names the flag", hint)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	n := validNode(t)
	n.Bootstraps = []Bootstrap{{mustID(t, serverID), "192.0.2.7", 39001}}
	n.DiscoveryPort = 39002
	key, err := certs.ParsePrivateKey(strings.Repeat("17", 32))
	if err != nil {
		t.Fatal(err)
	}
	n.Key = key
	got := n.Describe()
	for _, want := range []string{
		"server           apquic://" + serverID + "@example.com:8090#…\n",
		"services.web     tcp://127.0.0.1:80 at any public port\n",
		"services.ssh     tcp://127.0.0.1:22 at public port 20022 if it is free\n",
		"dataDir          /d\n",
		"key              from the file, of " + key.ID().String() + "\n",
		"keepalive        15s  (default)\n",
		"bootstraps[0]    " + serverID + " at 192.0.2.7:39001 (not used yet)\n",
		"port             39002 (for discovery, not used yet)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	for _, secret := range []string{"Hello", "TcgsE5dzphUWfjcWz2W", "1717"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is shown in\n%s", secret, got)
		}
	}
	if got := (Node{}).Describe(); !strings.HasPrefix(got, "server           the server that was joined") {
		t.Errorf("an empty node:\n%s", got)
	}
}

func TestParseService(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Service{
		"127.0.0.1:80":           {Upstream: "tcp://127.0.0.1:80"},
		"tcp://127.0.0.1:80":     {Upstream: "tcp://127.0.0.1:80"},
		"[::1]:80":               {Upstream: "tcp://[::1]:80"},
		"8080":                   {Upstream: "tcp://127.0.0.1:8080"},
		"ssh=22":                 {Name: "ssh", Upstream: "tcp://127.0.0.1:22"},
		"ssh=nas:22":             {Name: "ssh", Upstream: "tcp://nas:22"},
		"unix:/run/a.sock":       {Upstream: "unix:/run/a.sock"},
		"app=unix:/run/a.sock":   {Name: "app", Upstream: "unix:/run/a.sock"},
		"unix:/run/a=b.sock":     {Upstream: "unix:/run/a=b.sock"},
		"nas=https://nas.lan":    {Name: "nas", Upstream: "https://nas.lan:443"},
		"site=file:///srv/www":   {Name: "site", Upstream: "file:/srv/www"},
		"app=unix:/run/a=b.sock": {Name: "app", Upstream: "unix:/run/a=b.sock"},
	} {
		if got, err := parseService(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":             "",
		"0":            "",
		"65536":        "",
		"=nas:22":      "",
		"SSH=nas:22":   "did you mean ssh=nas:22?",
		":8000":        "did you mean 127.0.0.1:8000?",
		"nas":          "",
		"nas:0":        "",
		"unix:":        "",
		"http://nas/x": "",
	} {
		if got, err := parseService(text); err == nil || !strings.Contains(err.Error(), want) || !reflect.DeepEqual(got, Service{}) {
			t.Errorf("%q: %+v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestNameServices(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ given, want []string }{
		{nil, nil},
		{[]string{""}, []string{"web"}},
		{[]string{"", "ssh", "", ""}, []string{"web", "ssh", "web-2", "web-3"}},
		{[]string{"", "web", "web-3", "", ""}, []string{"web-2", "web", "web-3", "web-4", "web-5"}},
		{[]string{"a", "a"}, []string{"a", "a"}},
	} {
		var services []Service
		for _, name := range test.given {
			services = append(services, Service{Name: name, Upstream: "tcp://x:1"})
		}
		var got []string
		for _, s := range nameServices(services) {
			got = append(got, s.Name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.given, got, test.want)
		}
		for i, s := range services {
			if s.Name != test.given[i] {
				t.Errorf("%q: the argument was changed", test.given)
			}
		}
	}
}

func TestDefaultDataDir(t *testing.T) {
	got := DefaultDataDir("apquic-x")
	if !filepath.IsAbs(got) || filepath.Base(got) != "apquic-x" {
		t.Errorf("got %q", got)
	}
}
