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
		if err != nil || !n.Services[0].EndsTLS() {
			t.Errorf("%s: %v", text, err)
		}
		if got := n.Describe(); !strings.Contains(got, want) || strings.Contains(got, someHash) {
			t.Errorf("%s: described as\n%s", text, got)
		}
	}
	if s := (Service{Upstream: "tcp://127.0.0.1:80", Site: Site{Domain: "a.example.org"}, Login: Login{ClientCA: "ca.pem"}}); !s.EndsTLS() {
		t.Error("who asks visitors ends TLS")
	}
}

func TestWrongLogins(t *testing.T) {
	t.Parallel()
	password := `"password": {"anna": "` + someHash + `"}`
	oidc := func(old, replacement string) string { return strings.Replace(someOIDC, old, replacement, 1) }
	for text, want := range map[string][2]string{
		`"password": {"anna": "geheim"}`:          {"services.web.password.anna: this is not a hash by bcrypt", "hash-password NAME"},
		`"password": {"a:b": "` + someHash + `"}`: {"no colon", ""},
		password + `, "http": "serve"`:            {"without encryption", "remove http"},
		`"clientCA": "ca.pem", "http": "serve"`:   {"without encryption", "remove http"},
		someOIDC + `, "http": "serve"`:            {"without encryption", "remove http"},
		password + `, "tls": "pass"`:              {`with tls "pass" it cannot`, `use tls "node"`},
		someOIDC + `, "tls": "pass"`:              {`with tls "pass" it cannot`, `use tls "node"`},
		`"tls": "pass", "clientCA": "ca.pem"`:     {`with tls "pass" it cannot`, `use tls "node"`},
		password + `, ` + someOIDC:                {"not by both", ""},
		oidc(`"allow"`, `"alow"`):                 {"did you mean allow", ""},
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
	n := DefaultNode()
	if err := ParseNode("s", []byte(`{"services": {"web": {"upstream": "http://127.0.0.1:80", `+password+`}}}`), &n); err == nil || !strings.Contains(err.Error(), "for a service with a domain") {
		t.Errorf("without a domain: %v", err)
	}
}
