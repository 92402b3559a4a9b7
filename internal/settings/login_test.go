package settings

import (
	"strings"
	"testing"

	"apquic/internal/hint"
)

const (
	someHash = "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
	someOIDC = `"oidc": {"issuer": "https://login.example.org", "clientId": "apquic", "clientSecretFile": "secret", "allow": ["anna@example.org", "@example.com", "group:family", "subject:1"]}`
)

func parseLogin(text string) (Node, error) {
	n := DefaultNode()
	err := ParseNode("s", []byte(`{"server": "apquic://`+serverID+`@t.example.org:8090", "services": {"web": {"upstream": "http://127.0.0.1:80", "domain": "a.example.org", `+text+`}}}`), &n)
	if err == nil {
		err = n.Validate()
	}
	return n, err
}

func TestServiceWithLogin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"password": {"anna": "` + someHash + `"}`: ", for visitors with the password of one user",
		`"tls": "node", "clientCA": "ca.pem", "password": {"anna": "` + someHash + `", "bob": "` + someHash + `"}`: ", for visitors with the password of one of 2 users and a certificate by ca.pem",
		someOIDC + `, "clientCA": "ca.pem"`: "and a login at https://login.example.org as one of anna@example.org, @example.com, group:family, subject:1",
		`"oidc": {"issuer": "http://127.0.0.1:5556/dex", "clientId": "apquic", "clientSecretFile": "secret", "allow": ["*"]}`: "a login at http://127.0.0.1:5556/dex as one of *",
	} {
		n, err := parseLogin(text)
		if err != nil || !n.Services[0].EndsHTTP() {
			t.Fatalf("%s: %v", text, err)
		}
		if got := n.Describe(); !strings.Contains(got, want) || strings.Contains(got, someHash) {
			t.Errorf("%s: described as\n%s", text, got)
		}
	}
	if s := (Service{Upstream: "tcp://127.0.0.1:80", Site: Site{Domain: "a.example.org"}, Login: Login{ClientCA: "ca.pem"}}); !s.EndsTLS() {
		t.Error("who asks visitors ends TLS")
	}
}

// TestLoginWhereTheServerEndsTLS: the node asks visitors of a domain, or of a name below the server's own, and whatever
// the upstream's address says, the server sends it their requests.
func TestLoginWhereTheServerEndsTLS(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"domain": "a.example.org", "tls": "terminate", "upstream": "http://127.0.0.1:80", "password": {"anna": "` + someHash + `"}`: "where the server ends TLS and HTTP, for visitors with the password",
		`"tls": "terminate", "upstream": "127.0.0.1:80", ` + someOIDC:                                                                "where the server ends TLS and HTTP, for visitors with a login",
	} {
		n := DefaultNode()
		err := ParseNode("s", []byte(`{"server": "apquic://`+serverID+`@t.example.org:8090", "services": {"web": {`+text+`}}}`), &n)
		if err != nil || n.Validate() != nil {
			t.Fatalf("%s: %v, %v", text, err, n.Validate())
		}
		s := n.Services[0]
		if tls, ifAny := s.ServerTLS(); s.EndsTLS() || !s.EndsHTTP() || tls != 2 || ifAny || !strings.Contains(n.Describe(), want) {
			t.Errorf("%s: %v %v, described as\n%s", text, tls, ifAny, n.Describe())
		}
	}
	if s := (Service{Upstream: "http://127.0.0.1:80", Site: Site{TLS: TLSTerminate}}); s.EndsHTTP() {
		t.Error("nobody is asked, and the node reads requests")
	}
}

func TestWrongLogins(t *testing.T) {
	t.Parallel()
	password := `"password": {"anna": "` + someHash + `"}`
	oidc := func(old, replacement string) string { return strings.Replace(someOIDC, old, replacement, 1) }
	for text, want := range map[string][2]string{
		`"password": {"anna": "geheim"}`:                      {"services.web.password.anna: this is not a hash by bcrypt", "hash-password NAME"},
		`"password": {"a:b": "` + someHash + `"}`:             {"no colon", ""},
		password + `, "http": "serve"`:                        {"without encryption", "remove http"},
		`"clientCA": "ca.pem", "http": "serve"`:               {"without encryption", "remove http"},
		someOIDC + `, "http": "serve"`:                        {"without encryption", "remove http"},
		password + `, "tls": "pass"`:                          {`with tls "pass" it cannot`, `use tls "node"`},
		someOIDC + `, "tls": "pass"`:                          {`with tls "pass" it cannot`, `use tls "node"`},
		`"tls": "pass", "clientCA": "ca.pem"`:                 {`with tls "pass" it cannot`, `use tls "node"`},
		password + `, ` + someOIDC:                            {"not by both", ""},
		password + `, "tls": "terminate", "http": "serve"`:    {"without encryption", "remove http"},
		`"tls": "terminate", "clientCA": "ca.pem"`:            {"show their certificates to the server", `use tls "node"`},
		password + `, "tls": "terminate", "proxyProtocol": 2`: {"X-Forwarded-For", ""},
		oidc(`"allow"`, `"alow"`):                             {"did you mean allow", ""},
		oidc(`, "allow": ["anna@example.org", "@example.com", "group:family", "subject:1"]`, ""): {"allow is missing", ""},
		oidc(`["anna@example.org", "@example.com", "group:family", "subject:1"]`, "[]"):          {"allow in oidc names nobody", ""},
		oidc(`@example.com"`, `example.com"`):                                                    {"did you mean @example.com", ""},
		oidc("group:family", "role:family"):                                                      {"role:family is nobody", ""},
		oidc("https://login", "http://login"):                                                    {"does not begin with https://", ""},
		oidc("https://login.example.org", "login.example.org"):                                   {"is not the URL of a provider", ""},
	} {
		_, err := parseLogin(text)
		if err == nil || !strings.Contains(err.Error(), want[0]) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", text, err, want[0])
		}
		if want[1] != "" && !strings.Contains(hint.Of(err), want[1]) {
			t.Errorf("%s: the hint is %q", text, hint.Of(err))
		}
	}
	for text, want := range map[string]string{
		`"upstream": "http://127.0.0.1:80"`:                                         "for a service with a domain",
		`"upstream": "http://127.0.0.1:80", "public": false`:                        "for a service with a domain",
		`"upstream": "tcp+udp://127.0.0.1:80", "tls": "terminate"`:                  "over UDP nobody can be asked",
		`"upstream": "socks5:", "networks": ["192.168.1.0/24"], "tls": "terminate"`: "no web site",
		`"upstream": "http://127.0.0.1:80", "tls": "terminate", "public": false`:    "leave out tls",
	} {
		n := DefaultNode()
		if err := ParseNode("s", []byte(`{"services": {"web": {`+text+`, `+password+`}}}`), &n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
