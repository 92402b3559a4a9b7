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

// Site is what a service that is reached by name has in addition to others.
type Site struct {
	Domain           string // in its one form; empty: the service has a port, and perhaps a name below the server's own domain
	TLS              string // who ends TLS: TLSPass, TLSNode or TLSTerminate; empty: as EndsTLS and ServerTLS say
	PlainHTTP        bool   // clients may come without TLS
	Certificate, Key string // files with which the node ends TLS; empty: it gets a certificate by ACME
}

// TLSPass, TLSNode and TLSTerminate say that the upstream ends TLS, the node, or the server.
const (
	TLSPass      = "pass"
	TLSNode      = "node"
	TLSTerminate = "terminate"
)

// SpeaksHTTP reports whether the upstream is a web server for sure.
func (s Service) SpeaksHTTP() bool {
	scheme, _, _ := strings.Cut(s.Upstream, ":")
	return slices.Contains([]string{"http", "https", "file"}, scheme) // https: the node ends it towards the upstream
}

// EndsTLS reports whether the node ends the TLS of the clients.
func (s Service) EndsTLS() bool {
	return s.TLS == TLSNode || s.Domain != "" && s.TLS == "" && (s.SpeaksHTTP() || s.Certificate != "" || s.AsksVisitors())
}

// EndsHTTP reports whether the node reads the requests of the clients, so that it can ask who they are, and tell the upstream
// another Host.
func (s Service) EndsHTTP() bool {
	return s.EndsTLS() || s.Host != "" || s.TLS == TLSTerminate && s.AsksVisitors()
}

// ServerTLS is what the server is asked to do with TLS, as in ProxyRequest; ifAny: only if it gives names to services
// with a port, and ends their TLS. Then a web server has one without being asked.
func (s Service) ServerTLS() (tls uint32, ifAny bool) {
	switch {
	case s.Private, s.Group != "" && s.Domain == "", s.Domain == "" && s.TLS == "" && !s.SpeaksHTTP():
		return 0, false
	case s.Domain == "" && s.TLS == "":
		return 2, true
	case s.TLS == TLSTerminate && (s.SpeaksHTTP() || s.AsksVisitors()):
		return 2, false
	case s.TLS == TLSTerminate:
		return 3, false
	}
	return 1, false
}

const wantDomain = `a name such as "www.example.org" or "*.example.org"`

// keys are those of a service with a domain.
func (s *Site) keys() jsonc.Form {
	return jsonc.Form{
		"domain": {Want: wantDomain, Set: jsonc.Into(&s.Domain, jsonc.Parsed(domain.Parse))},
		"tls":    {Want: `"pass", "node" or "terminate"`, Set: jsonc.Into(&s.TLS, jsonc.OneOf(TLSPass, TLSNode, TLSTerminate))},
		"http": {Want: `"redirect" or "serve"`, Set: func(v jsonc.Value) error {
			choice, err := jsonc.OneOf("redirect", "serve")(v)
			s.PlainHTTP = choice == "serve"
			return err
		}},
		"certificate": {Want: "a file in PEM, such as \"/etc/ssl/www.pem\"", Set: jsonc.Into(&s.Certificate, jsonc.Value.Text)},
		"key":         {Want: "a file in PEM, such as \"/etc/ssl/www.key\"", Set: jsonc.Into(&s.Key, jsonc.Value.Text)},
	}
}

// describeSite says where the service is, for a person; empty: it has no name.
func (s Service) describeSite() string {
	tls, ifAny := s.ServerTLS()
	at := " at https://" + s.Domain
	switch {
	case ifAny:
		return ", and at a name below the server's domain if that has one and ends TLS"
	case s.Domain == "" && tls == 0:
		return ""
	case s.Domain == "":
		at = ", and at a name below the server's domain"
	}
	text := at + ", where the upstream ends TLS"
	switch {
	case tls == 2:
		text = at + ", where the server ends TLS and HTTP"
	case tls == 3:
		text = at + ", where the server ends TLS and passes the bytes on"
	case s.EndsTLS() && s.Certificate != "":
		text = at + ", where the node ends TLS with the certificate in " + s.Certificate
	case s.EndsTLS():
		text = at + ", where the node ends TLS with a certificate by ACME"
	}
	if s.PlainHTTP && s.Domain != "" {
		text += ", and at http://" + s.Domain
	}
	return text
}

// siteFault returns what is wrong with the service as a whole.
func (s Service) siteFault() error {
	scheme, _, _ := strings.Cut(s.Upstream, ":")
	switch {
	case s.Domain != "" && s.PublicPort != 0:
		return errors.New("a service has either a domain or a publicPort")
	case s.Domain == "" && s.Certificate+s.Key != "":
		return errors.New("certificate and key are for a service with a domain")
	case s.Domain == "" && s.PlainHTTP && s.TLS == "" && (s.Private || s.Group != "" || !s.SpeaksHTTP()):
		return errors.New("http is for a service with a domain, or with tls")
	case publicsuffix.Check(s.Domain) != nil:
		return publicsuffix.Check(s.Domain)
	case s.Domain != "" && strings.Contains(scheme, "udp"):
		return errors.New("a domain is reached over TCP only: give a service over UDP a publicPort")
	case s.TLS != "" && scheme == "udp":
		return errors.New("a name is reached over TCP only: leave out tls")
	case s.EndsTLS() && scheme == "socks5":
		return errors.New("a proxy is no web site: leave out tls \"node\"")
	case s.EndsHTTP() && s.ProxyProtocol != 0:
		return errors.New("where the node ends HTTP it tells the service of each client in X-Forwarded-For: leave out proxyProtocol")
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
