package settings

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	s := DefaultServer()
	if err := ParseServer("s", []byte(`{"groups": {"photos": ["garage", "`+someNode+`"], "mail": ["attic"]}}`), &s); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"photos": {"garage", someNode}, "mail": {"attic"}}
	if !reflect.DeepEqual(s.Groups, want) {
		t.Errorf("%v", s.Groups)
	}
	if text := s.Describe(); !strings.Contains(text, "groups.photos") || !strings.Contains(text, "offered by garage, "+someNode) {
		t.Error(text)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.AddFlags(flags)
	if err := flags.Parse([]string{"--group", "photos=attic", "--group", "game=garage, attic"}); err != nil {
		t.Fatal(err)
	}
	if want := (map[string][]string{"photos": {"attic"}, "game": {"garage", "attic"}}); !reflect.DeepEqual(s.Groups, want) {
		t.Errorf("flags: %v", s.Groups)
	}
	for text, want := range map[string]string{
		`{"Photos": ["garage"]}`:     "name",
		`{"photos": []}`:             "needs a node",
		`{"photos": "garage"}`:       "want a list",
		`{"photos": ["the garage"]}`: "the name or the id of a node",
		`{"photos": [1]}`:            "the name or the id of a node",
		`["photos"]`:                 "want names and lists of nodes",
	} {
		s := DefaultServer()
		if err := ParseServer("s", []byte(`{"groups": `+text+`}`), &s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"photos", "photos=", "=garage", "Photos=garage", "photos=garage,"} {
		if err := flags.Set("group", text); err == nil {
			t.Errorf("--group %s: no error", text)
		}
	}
}

func TestServiceInGroup(t *testing.T) {
	t.Parallel()
	var n Node
	err := ParseNode("s", []byte(`{"services": {"web": {"upstream": "127.0.0.1:80", "group": "photos", "health": "/healthz"}}}`), &n)
	if err != nil || n.Services[0].Group != "photos" || n.Services[0].Health != "/healthz" {
		t.Fatalf("%+v, %v", n.Services, err)
	}
	if text := n.Describe(); !strings.Contains(text, "in the group photos, checked by a request for /healthz every 10 s") {
		t.Error(text)
	}
	for text, want := range map[string]string{
		`"group": "Photos"`: "name", `"health": "healthz"`: `is not "tcp"`, `"health": "http://127.0.0.1/"`: `is not "tcp"`, `"health": true`: `"tcp", or the path`,
	} {
		var n Node
		if err := ParseNode("s", []byte(`{"services": {"web": {"upstream": "127.0.0.1:80", `+text+`}}}`), &n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestGroupFaults(t *testing.T) {
	t.Parallel()
	node := func(services ...Service) error {
		n := DefaultNode()
		n.Services = services
		return n.faults().errors()
	}
	web := Service{Name: "web", Upstream: "http://127.0.0.1:80", Group: "photos", Health: "tcp"}
	other := web
	other.Name = "other"
	if err := node(web, other); err == nil || !strings.Contains(err.Error(), "photos is also the group of web") {
		t.Errorf("a group twice: %v", err)
	}
	other.Group, other.PerAddress = "mail", 3
	if err := node(other); err == nil || !strings.Contains(err.Error(), "is for the server to say") {
		t.Errorf("rules for visitors of a group: %v", err)
	}
	other.Group, other.Health, other.Private = "", "", true
	if err := node(other); err == nil || !strings.Contains(err.Error(), "allowNodes says who") {
		t.Errorf("rules for visitors of a private service: %v", err)
	}
	other = web
	other.Name = "other"
	for upstream, ok := range map[string]bool{"tcp+udp://127.0.0.1:53": true, "file:/srv/www": true, "unix:/run/app": true, "udp://127.0.0.1:53": false} {
		other.Group, other.Upstream = "", upstream
		if err := node(other); (err == nil) != ok {
			t.Errorf("health of %s: %v", upstream, err)
		}
	}
	other.Health, other.Canary = "", time.Minute
	for upstream, ok := range map[string]bool{"tcp+udp://127.0.0.1:53": true, "file:/srv/www": true, "udp://127.0.0.1:53": false, "socks5:": false} {
		if other.Upstream, other.Networks = upstream, nil; upstream == "socks5:" {
			other.Networks = []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}
		}
		if err := node(other); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "canary is for a service to which one can connect") {
			t.Errorf("canary of %s: %v", upstream, err)
		}
	}
	web.Domain = "www.example.org"
	err := node(web)
	if err == nil || !strings.Contains(err.Error(), "cannot each get a certificate by ACME") {
		t.Errorf("ACME in a group: %v", err)
	}
	web.Certificate, web.Key = "a.pem", "a.key"
	if err := node(web); err != nil {
		t.Errorf("with files: %v", err)
	}
	web.Certificate, web.Key, web.TLS = "", "", TLSPass
	if err := node(web); err != nil {
		t.Errorf("passed on: %v", err)
	}
	web.TLS = TLSTerminate
	if tls, ifAny := web.ServerTLS(); node(web) != nil || tls != 2 || ifAny {
		t.Errorf("ended by the server: %v, %d, %v", node(web), tls, ifAny)
	}
	web.Domain = ""
	if err := node(web); err == nil || !strings.Contains(err.Error(), "a group has no name below the server's own domain") {
		t.Errorf("a name of one node: %v", err)
	}
	web.TLS = ""
	if tls, ifAny := web.ServerTLS(); node(web) != nil || tls != 0 || ifAny {
		t.Errorf("at a port: %v, %d, %v", node(web), tls, ifAny)
	}
}
