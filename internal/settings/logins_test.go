package settings

import (
	"strings"
	"testing"
)

func parseLogins(text string) (Server, error) {
	s := DefaultServer()
	err := ParseServer("s", []byte(`{"https": ":443", "acme": true, `+text+`}`), &s)
	if err == nil {
		err = s.Validate()
	}
	return s, err
}

// TestServerLogins: what visitors must show at names of a server, in a file and as a flag; no description has a hash.
func TestServerLogins(t *testing.T) {
	t.Parallel()
	const text = `{"Photos.example.org.": {"password": {"anna": "` + someHash + `"}}, "*.tunnel.example.org": {` + someOIDC + `, "clientCA": "ca.pem"}, "*": {"clientCA": "all.pem"}}`
	s, err := parseLogins(`"logins": ` + text)
	if err != nil || len(s.Logins) != 3 || s.Logins["photos.example.org"].Passwords["anna"] != someHash || s.Logins["*"].ClientCA != "all.pem" {
		t.Fatalf("%v, %v", s.Logins, err)
	}
	described := s.Describe()
	for _, want := range []string{"logins.photos.example.org", "for visitors with the password of one user", "logins.*.tunnel.example.org", "as one of anna@example.org", "a certificate by all.pem"} {
		if !strings.Contains(described, want) {
			t.Errorf("%q is missing in\n%s", want, described)
		}
	}
	if strings.Contains(described, someHash) {
		t.Errorf("a hash is shown:\n%s", described)
	}
	var flagged Server
	if err := loginsVar(&flagged.Logins).Set(text); err != nil || len(flagged.Logins) != 3 {
		t.Errorf("as a flag: %v, %v", flagged.Logins, err)
	}
}

func TestWrongServerLogins(t *testing.T) {
	t.Parallel()
	password := `{"password": {"anna": "` + someHash + `"}}`
	for text, want := range map[string]string{
		`{"a.example.org": {"password": {"anna": "geheim"}}}`:                             "not a hash by bcrypt",
		`{"a.example.org": {"pasword": {}}}`:                                              "did you mean password",
		`{"a.example.org": {}}`:                                                           "need to show nothing",
		`{"localhost": ` + password + `}`:                                                 "localhost",
		`{"*.*.example.org": ` + password + `}`:                                           "logins",
		`{"a.example.org": ` + password + `, "A.example.org": ` + password + `}`:          "twice",
		`{"a.example.org": {"password": {"anna": "` + someHash + `"}, ` + someOIDC + `}}`: "not by both",
		`[]`: "logins",
	} {
		if _, err := parseLogins(`"logins": ` + text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		var s Server
		if err := loginsVar(&s.Logins).Set(text); err == nil && s.Logins.Check() == nil {
			t.Errorf("%s is a flag", text)
		}
	}
	s := DefaultServer()
	if err := ParseServer("s", []byte(`{"https": ":443", "logins": {"a.example.org": `+password+`}}`), &s); err != nil {
		t.Errorf("flags may say how the server ends TLS: %v", err)
	}
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "cannot ask visitors") {
		t.Errorf("a server that ends no TLS: %v", err)
	}
}
