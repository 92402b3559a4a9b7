package settings

import (
	"errors"
	"fmt"
	"strings"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/logins"
)

// Login is what visitors of a service must show, and OIDC the provider at which they log in.
type (
	Login = logins.Login
	OIDC  = logins.OIDC
)

// loginFault returns what is wrong with what visitors must show.
func (s Service) loginFault() error {
	scheme, _, _ := strings.Cut(s.Upstream, ":")
	switch {
	case !s.AsksVisitors():
		return nil
	case s.Domain == "" && s.TLS == "":
		return hint.Add(errors.New("password, clientCA and oidc are for a service with a domain, or with tls"),
			`give it a domain, where the node can end HTTPS; or tls "terminate" for a name below the server's domain`)
	case s.TLS == TLSTerminate && s.ClientCA != "":
		return hint.Add(errors.New(`with tls "terminate" visitors show their certificates to the server, and clientCA is for the node`),
			`use tls "node", or password or oidc`)
	case s.TLS == TLSPass:
		return hint.Add(fmt.Errorf("password, clientCA and oidc need the node to read HTTP, and with tls %q it cannot", s.TLS), `use tls "node", or let the upstream ask its visitors`)
	case s.PlainHTTP:
		return hint.Add(errors.New(`with http "serve" the credentials of visitors would travel without encryption`), `remove http, so that visitors are sent to https`)
	case strings.Contains(scheme, "udp"):
		return errors.New("over UDP nobody can be asked for a password or a login: give the service over UDP a name of its own")
	case scheme == "socks5":
		return errors.New("a proxy is no web site, whose visitors could be asked for a password or a login")
	case s.ProxyProtocol != 0:
		return errors.New("where the node asks visitors it tells the service of each client in X-Forwarded-For: leave out proxyProtocol")
	}
	return s.Login.Fault()
}

// loginsVar is what visitors must show at names of which a server ends HTTP.
func loginsVar(field *logins.ByName) setting {
	return kind[logins.ByName]{
		name: "object", flag: "json", want: logins.Want,
		read: logins.Read, parse: logins.Parse, check: logins.ByName.Check, show: func(logins.ByName) string { return "" },
		lines: func(all logins.ByName) (lines []line) {
			for _, name := range all.Names() {
				lines = append(lines, line{Unseen: fmt.Sprintf("%+v", all[name]), Key: "." + name, Value: strings.TrimPrefix(all[name].Describe(), ", ")})
			}
			return lines
		},
	}.bind(field, nil)
}
