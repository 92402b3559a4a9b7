package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"apquic/internal/domain"
	"apquic/internal/hint"
	"apquic/internal/publicsuffix"
	"apquic/internal/settings/internal/jsonc"
)

// Site is what a service with a domain has in addition to others.
type Site struct {
	Domain    string // in its one form; empty: the service has a port
	TLS       string // who ends TLS: TLSPass or TLSNode; empty: as EndsTLS says
	PlainHTTP bool   // clients may come without TLS
	// Certificate and Key are files with which the node ends TLS; empty: it gets a certificate by ACME.
	Certificate, Key string
}

// TLSPass and TLSNode say that the upstream ends TLS, or the node.
const (
	TLSPass = "pass"
	TLSNode = "node"
)

// EndsTLS reports whether the node ends the TLS of the clients.
func (s Service) EndsTLS() bool {
	scheme, _, _ := strings.Cut(s.Upstream, ":")
	speaksHTTP := slices.Contains([]string{"http", "https", "file"}, scheme) // https: the node ends it towards the upstream
	return s.Domain != "" && (s.TLS == TLSNode || s.TLS == "" && (speaksHTTP || s.Certificate != "" || s.AsksVisitors()))
}

const wantDomain = `a name such as "www.example.org" or "*.example.org"`

// keys are those of a service with a domain.
func (s *Site) keys() jsonc.Form {
	return jsonc.Form{
		"domain": {Want: wantDomain, Set: jsonc.Into(&s.Domain, jsonc.Parsed(domain.Parse))},
		"tls":    {Want: `"pass" or "node"`, Set: jsonc.Into(&s.TLS, oneOf(TLSPass, TLSNode))},
		"http": {Want: `"redirect" or "serve"`, Set: func(v jsonc.Value) error {
			choice, err := oneOf("redirect", "serve")(v)
			s.PlainHTTP = choice == "serve"
			return err
		}},
		"certificate": {Want: "a file in PEM, such as \"/etc/ssl/www.pem\"", Set: jsonc.Into(&s.Certificate, jsonc.Value.Text)},
		"key":         {Want: "a file in PEM, such as \"/etc/ssl/www.key\"", Set: jsonc.Into(&s.Key, jsonc.Value.Text)},
	}
}

// oneOf reads one of several words.
func oneOf(words ...string) func(jsonc.Value) (string, error) {
	return jsonc.Parsed(func(s string) (string, error) {
		for _, word := range words {
			if s == word {
				return s, nil
			}
		}
		return "", fmt.Errorf("%s is none of %q", hint.Readable(s), words)
	})
}

// describe says where the service is, for a person; empty: it has no domain.
func (s Service) describeSite() string {
	if s.Domain == "" {
		return ""
	}
	text := " at https://" + s.Domain + ", where the upstream ends TLS"
	switch {
	case s.EndsTLS() && s.Certificate != "":
		text = " at https://" + s.Domain + ", where the node ends TLS with the certificate in " + s.Certificate
	case s.EndsTLS():
		text = " at https://" + s.Domain + ", where the node ends TLS with a certificate by ACME"
	}
	if s.PlainHTTP {
		text += ", and at http://" + s.Domain
	}
	return text
}

// fault returns what is wrong with the service as a whole.
func (s Service) siteFault() error {
	scheme, _, _ := strings.Cut(s.Upstream, ":")
	switch {
	case s.Domain != "" && s.PublicPort != 0:
		return errors.New("a service has either a domain or a publicPort")
	case s.Domain == "" && s.Site != (Site{}):
		return errors.New("tls, http, certificate and key are for a service with a domain")
	case publicsuffix.Check(s.Domain) != nil:
		return publicsuffix.Check(s.Domain)
	case s.Domain != "" && strings.Contains(scheme, "udp"):
		return errors.New("a domain is reached over TCP only: give a service over UDP a publicPort")
	case s.EndsTLS() && scheme == "socks5":
		return errors.New("a proxy is no web site: leave out tls \"node\"")
	case s.EndsTLS() && s.ProxyProtocol != 0:
		return errors.New("where the node ends TLS it tells the service of each client in X-Forwarded-For: leave out proxyProtocol")
	case (s.Certificate == "") != (s.Key == ""):
		return errors.New("certificate and key belong together")
	case s.Certificate != "" && !s.EndsTLS():
		return errors.New("certificate and key are for tls \"node\"")
	case s.EndsTLS() && s.Certificate == "" && domain.IsWildcard(s.Domain):
		return hint.Add(fmt.Errorf("no authority gives the node a certificate for %s", s.Domain),
			"get one with DNS-01, for instance by certbot, and name its files in certificate and key; or leave TLS to the upstream with tls \"pass\"")
	}
	return nil
}
