package settings

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"apquic/certs"
)

func TestParseServer(t *testing.T) {
	t.Parallel()
	got := DefaultServer()
	err := ParseServer("server.json", []byte("\ufeff"+`{ // all of it
		"listen": "[::1]:9000", "range": "40000-40010,50000", "publicHost": "Example.com", "publicListen": "::1", "dataDir": "/d",
		"leaseTime": "1h30m", "maxServices": "3", "maxLeasesPerAddress": 9, "maxClients": 7, "maxClientsPerAddress": 5, "memory": "1GiB", "open": true, "silent": false, "ipv4": false, "ipv6": true, "idleTimeout": 60, "resumeTime": "2m",
		"flowIdle": "30s", "park": "0", "drain": "2s", "netId": 4294967295, "logLevel": "debug", "logFormat": "json", "debugAddress": "127.0.0.1:6060",
	} // no newline at the end`), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := Server{
		Listen: "[::1]:9000", Range: mustRange(t, "40000-40010,50000"), PublicHost: "Example.com", PublicListen: "::1", DataDir: "/d",
		LeaseTime: 90 * time.Minute, MaxServices: 3, MaxLeasesPerAddress: 9, MaxClients: 7, MaxClientsPerAddress: 5, Memory: 1 << 30, Open: true, IPv6: true, FlowIdle: 30 * time.Second, IdleTimeout: time.Minute, ResumeTime: 2 * time.Minute,
		Drain: 2 * time.Second, NetID: 4294967295, LogLevel: "debug", LogFormat: "json", AccessLogFormat: "json", DebugAddress: "127.0.0.1:6060",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseNode(t *testing.T) {
	t.Parallel()
	got := DefaultNode()
	got.Services = []Service{{Name: "old", Upstream: "tcp://h:1"}}
	err := ParseNode("node.json", []byte(`{
		"server": "apquic://`+serverID+`@[2001:db8::1]:8090#`+`TcgsE5dzphUWfjcWz2W",
		"services": {
			"web": "127.0.0.1:80", /* short */
			"ssh": {"upstream": "tcp://nas:22", "publicPort": "20022"},
			"app": "unix:/run/app.sock"
		},
		"dataDir": "d", "keepalive": "5s", "memory": "200MB", "idleTimeout": "1h", "resumeTime": "10m", "drain": 0, "netId": "7", "ipv4": false,
		"logLevel": "warn", "logFormat": "json", "debugAddress": "[::1]:6060"
	}`), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := Node{
		Server:   certs.Invitation{Server: mustID(t, serverID), Host: "2001:db8::1", Port: 8090, Secret: []byte("Hello World!")},
		Services: []Service{{Name: "web", Upstream: "tcp://127.0.0.1:80"}, {Name: "ssh", Upstream: "tcp://nas:22", PublicPort: 20022}, {Name: "app", Upstream: "unix:/run/app.sock"}},
		DataDir:  "d", Keepalive: 5 * time.Second, Memory: 200e6, IdleTimeout: time.Hour, ResumeTime: 10 * time.Minute, NetID: 7, IPv6: true, LogLevel: "warn", LogFormat: "json", AccessLogFormat: "json", DebugAddress: "[::1]:6060",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFileOverSettings(t *testing.T) {
	t.Parallel()
	s := DefaultServer()
	s.NetID = 9
	if err := ParseServer("s", []byte(`{"drain": "1s"}`), &s); err != nil {
		t.Fatal(err)
	}
	want := DefaultServer()
	want.NetID, want.Drain = 9, time.Second
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

func TestServerMistakes(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][][]string{
		`{"Listen": ":1"}`:                                   {{"s:1: Listen: unknown key, did you mean listen?"}},
		`{"lisen": ":1"}`:                                    {{"s:1: lisen: unknown key, did you mean listen?"}},
		`{"publichost": "a"}`:                                {{"s:1: publichost: unknown key, did you mean publicHost?"}},
		`{"identity": "a"}`:                                  {{"s:1: identity: unknown key; known keys here: accessLog, accessLogFormat, acme, acmeDirectory, admin, adminHosts, adminTokenFile, admins, allowClients, allowCountries, certificates,"}},
		`{"open": true, "open": true}`:                       {{"s:1: open: this key is a duplicate"}},
		`{"open": "yes"}`:                                    {{"s:1: open: this is a text; want true or false"}},
		`{"open": null}`:                                     {{"s:1: open: null is not a value: leave out the key"}},
		`{"listen": 8090}`:                                   {{"s:1: listen: this is a number; want an address and a UDP port", `":8090"`}},
		`{"listen": "8090"}`:                                 {{"s:1: listen: 8090 is not an address with a port", `":8090"`}},
		`{"listen": ":http"}`:                                {{"s:1: listen: http is not a port"}},
		`{"listen": "a b:1"}`:                                {{`s:1: listen: "a b" is neither a host name nor an IP address; want`}},
		`{"range": "22000-20000"}`:                           {{"s:1: range: ", "20000-22000"}},
		`{"range": ""}`:                                      {{"s:1: range: the text is empty; want public ports such as"}},
		`{"publicHost": "https://a/"}`:                       {{"s:1: publicHost: https://a/ is neither a host name nor an IP address; want"}},
		`{"publicHost": "YOUR-HOST"}`:                        {{"s:1: publicHost: this is still a placeholder; want the name or IP"}},
		`{"publicHost": "PUT-HOST-HERE"}`:                    {{"s:1: publicHost: this is still a placeholder"}},
		`{"dataDir": " /x"}`:                                 {{"s:1: dataDir: there are spaces around the text"}},
		`{"dataDir": "/x\u0000y"}`:                           {{"s:1: dataDir: there are control characters"}},
		`{"dataDir": "` + strings.Repeat("x", 1025) + `"}`:   {{"s:1: dataDir: the text has 1025 bytes, but only 1024 are allowed"}},
		`{"leaseTime": "3 hours"}`:                           {{`s:1: leaseTime: "3 hours" is not a duration; want`, "180m"}},
		`{"leaseTime": 1.5}`:                                 {{"s:1: leaseTime: 1.5 is not a whole number; want a duration"}},
		`{"leaseTime": [1]}`:                                 {{"s:1: leaseTime: this is a list; want a duration"}},
		`{"leaseTime": 1e3}`:                                 {{"s:1: leaseTime: 1e3 is not a whole number"}},
		`{"leaseTime": 0}`:                                   {{"s:1: leaseTime: 0s is not from 1s to 87600h"}},
		`{"leaseTime": "-1s"}`:                               {{"s:1: leaseTime: -1s is not from 1s"}},
		`{"leaseTime": 99999999999999}`:                      {{"s:1: leaseTime: 99999999999999 is not from 0 to"}},
		`{"maxServices": 0}`:                                 {{"s:1: maxServices: 0 is not from 1 to 65535"}},
		`{"resumeTime": "25h"}`:                              {{"s:1: resumeTime: 25h is not from 0s to 24h"}},
		`{"idleTimeout": "1s"}`:                              {{"s:1: idleTimeout: 1s is not from 5s to 24h"}},
		`{"park": "2h"}`:                                     {{"s:1: park: 2h is not from 0s to 1h"}},
		`{"drain": "2h"}`:                                    {{"s:1: drain: 2h is not from 0s to 1h"}},
		`{"netId": -1}`:                                      {{"s:1: netId: -1 is not from 0 to 4294967295"}},
		`{"netId": 99999999999999999999}`:                    {{"s:1: netId: 99999999999999999999 is not a whole number"}},
		`{"logLevel": "inof"}`:                               {{"s:1: logLevel: inof is none of debug, info, warn, error, did you mean info?"}},
		`{"logFormat": "xml"}`:                               {{"s:1: logFormat: xml is none of text, json"}},
		"{\"ipv4\": false,\n\"ipv6\": false}":                {{"s:1: ipv4: ipv4 and ipv6 are both off"}},
		"{\"ipv4\": false,\n\"listen\": \"127.0.0.1:8090\"}": {{"s:2: listen: 127.0.0.1 is an IPv4 address, and ipv4 is off"}},
		"{\n\t\"drain\": [],\n\t\"opne\": 1,\n}":             {{"s:2: drain: this is a list"}, {"s:3: opne: unknown key, did you mean open?"}},
		`{"": 1, "a\nb": 2}`:                                 {{`s:1: "": unknown key`}, {`s:1: "a\nb": unknown key`}},
		`7`:                                                  {{"s:1: this is a number; want {...}"}},
	} {
		t.Run(file[:min(40, len(file))], func(t *testing.T) {
			t.Parallel()
			s := DefaultServer()
			wantMistakes(t, ParseServer("s", []byte(file), &s), want...)
		})
	}
}

func TestNodeMistakes(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][][]string{
		`{"server": "http://x"}`:                                    {{"n:1: server: ", "apquic://"}},
		`{"services": "127.0.0.1:80"}`:                              {{"n:1: services: this is a text; want names and addresses", `{"web": "127.0.0.1:80"}`}},
		`{"server": "x", "services": ["127.0.0.1:80"]}`:             {{"n:1: server: "}, {"n:1: services: this is a list; want names"}},
		`{"services": {"a": "x:1", "a": "x:2"}}`:                    {{"n:1: services.a: this key is a duplicate"}},
		`{"services": {"A b": "x:1"}}`:                              {{`n:1: services."A b": `}},
		`{"services": {"a": "x"}}`:                                  {{"n:1: services.a: ", "127.0.0.1:80"}},
		`{"services": {"a": true}}`:                                 {{"n:1: services.a: this is true; want the address"}},
		`{"services": {"a": []}}`:                                   {{"n:1: services.a: this is a list; want the address"}},
		`{"services": {"a": {}}}`:                                   {{"n:1: services.a: upstream is missing; want the address", "127.0.0.1:80"}},
		`{"services": {"web": {"upstrem": "a:1"}}}`:                 {{"n:1: services.web.upstrem: unknown key, did you mean upstream?"}},
		`{"services": {"a": {"upstream": "x:1", "publicPort": 0}}}`: {{"n:1: services.a.publicPort: 0 is not from 1 to 65535; want a port"}},
		"{\"services\": {\"a\": {\"upstream\": \"x:1\", \"publicPort\": 5},\n\"b\": {\"upstream\": \"x:1\", \"publicPort\": 5}}}": {
			{"n:2: services.b.publicPort: 5 is also the public port of a"}},
		`{"keepalive": "80s", "idleTimeout": "60s"}`: {{"n:1: keepalive: 1m20s is not shorter than idleTimeout, 1m:"}},
		`{"keepalive": 0}`:                           {{"n:1: keepalive: 0s is not from 1s to 24h"}},
	} {
		t.Run(file[:min(40, len(file))], func(t *testing.T) {
			t.Parallel()
			n := DefaultNode()
			wantMistakes(t, ParseNode("n", []byte(file), &n), want...)
		})
	}
}

// A flag can still mend what is wrong only together with something that is not in the file.
func TestFileIsBlamedAlone(t *testing.T) {
	t.Parallel()
	n := DefaultNode()
	if err := ParseNode("n", []byte(`{"keepalive": "2m"}`), &n); err != nil {
		t.Fatal(err)
	}
	wantMistakes(t, n.Validate(), []string{"keepalive: 2m is not shorter"}, []string{"server: "}, []string{"services: "})
}

func TestUpstreamOptions(t *testing.T) {
	t.Parallel()
	n := DefaultNode()
	err := ParseNode("n", []byte(`{"services": {"web": {"upstream": "80", "proxyProtocol": 2}}}`), &n)
	if want := []Service{{Name: "web", Upstream: "tcp://127.0.0.1:80", ProxyProtocol: 2}}; err != nil || !reflect.DeepEqual(n.Services, want) {
		t.Errorf("%+v %v, want %+v", n.Services, err, want)
	}
	if text := n.Describe(); !strings.Contains(text, "tcp://127.0.0.1:80 at any public port, told of each client by PROXY protocol version 2\n") {
		t.Error(text)
	}
	pin := strings.Repeat("ab", 32)
	err = ParseNode("n", []byte(`{"services": {"nas": {"upstream": "https://192.168.1.5", "pin": "`+strings.Repeat("AB:", 31)+`AB"}, "old": {"upstream": "https://old", "ca": "/ca.pem", "host": "old.local"}}}`), &n)
	if want := []Service{{Name: "nas", Upstream: "https://192.168.1.5:443", Pin: pin}, {Name: "old", Upstream: "https://old:443", CA: "/ca.pem", Host: "old.local"}}; err != nil || !reflect.DeepEqual(n.Services, want) {
		t.Errorf("%+v %v, want %+v", n.Services, err, want)
	}
	if text := n.Describe(); !strings.Contains(text, ", with the certificate abababab…\n") || !strings.Contains(text, ", with a certificate by /ca.pem, with the Host old.local in each request\n") {
		t.Error(text)
	}
	for text, want := range map[string]string{
		`{"upstream": "https://nas", "pin": "abc"}`:                                            "n:1: services.web.pin: abc is not the SHA-256 of a certificate",
		`{"upstream": "nas:443", "pin": "` + pin + `"}`:                                        "n:1: services.web: ca and pin are for an upstream that begins with https://, and tcp://nas:443 does not",
		`{"upstream": "https://nas", "ca": "/a", "pin": "` + pin + `"}`:                        "n:1: services.web: the certificate is checked by ca or by pin",
		`{"upstream": "80", "host": "nas.local"}`:                                              "n:1: services.web: host is for an upstream that begins with http:// or https://, and tcp://127.0.0.1:80 does not",
		`{"upstream": "http://nas", "host": "http://nas"}`:                                     "n:1: services.web.host: http://nas is neither a host name nor an IP address",
		`{"upstream": "http://nas", "host": "nas", "public": false}`:                           "n:1: services.web: host is for a public service",
		`{"upstream": "https://nas", "host": "nas", "domain": "a.example.org", "tls": "pass"}`: `n:1: services.web: host needs the node to read HTTP, and with tls "pass"`,
		`{"upstream": "http://nas", "host": "nas", "proxyProtocol": 1}`:                        "n:1: services.web: where the node ends HTTP it tells the service of each client in X-Forwarded-For: leave out proxyProtocol",
		`{"upstream": "80", "listing": true}`:                                                  "n:1: services.web: listing is for a folder, file:/path, and tcp://127.0.0.1:80 is none",
		`{"upstream": "file:/srv", "proxyProtocol": 1}`:                                        "n:1: services.web: proxyProtocol is for services of other programs",
		`{"upstream": "socks5:"}`:                                                              "n:1: services.web: a socks5: upstream needs \"networks\"",
		`{"upstream": "socks5:", "networks": []}`:                                              "n:1: services.web: a socks5: upstream needs \"networks\"",
		`{"upstream": "socks5:", "networks": ["lan"]}`:                                         "n:1: services.web.networks[0]: lan is not a network",
		`{"upstream": "80", "networks": ["10.0.0.0/8"]}`:                                       "n:1: services.web: networks is for a proxy",
		`{"upstream": "file:/srv", "ca": "/ca.pem"}`:                                           "n:1: services.web: ca and pin are for an upstream that begins with https://",
		`{"upstream": "udp://127.0.0.1:53", "proxyProtocol": 1}`:                               "n:1: services.web: over UDP the PROXY protocol has version 2 only",
		`{"upstream": "80", "proxyProtocol": 3}`:                                               "n:1: services.web.proxyProtocol: 3 is not from 0 to 2; want 1 or 2",
		`{"upstream": "80", "proxyProtocol": true}`:                                            "n:1: services.web.proxyProtocol: this is true; want 1 or 2",
	} {
		err := ParseNode("n", []byte(`{"services": {"web": `+text+`}}`), &n)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
