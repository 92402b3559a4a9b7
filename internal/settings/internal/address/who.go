package address

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"apquic/certs"
	"apquic/internal/hint"
)

// WantAllow is what [ParseAllowed] reads, and WantMember what [ParseMember] reads, for people.
const (
	WantAllow  = `a list of "anna@example.org", "@example.org", "group:family", "subject:248289761001", or "*" for whoever the provider knows`
	WantMember = "the name or the id of a node"
)

// ParseIssuer checks the URL of a provider. On the same machine it may do without TLS.
func ParseIssuer(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%s is not the URL of a provider", hint.Readable(s))
	}
	ip, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && (ip.IsLoopback() || u.Hostname() == "localhost")) {
		return "", fmt.Errorf("%s does not begin with https://, so that anybody on the way could log in", hint.Readable(s))
	}
	return s, nil
}

// ParseAllowed reads who may visit after a login.
func ParseAllowed(s string) (string, error) {
	kind, name, marked := strings.Cut(s, ":")
	switch {
	case s == "*" || strings.Count(s, "@") == 1 && !strings.HasSuffix(s, "@"):
		return s, nil
	case marked && name != "" && (kind == "group" || kind == "subject"):
		return s, nil
	case !marked && strings.Contains(s, "."):
		return "", fmt.Errorf("%s is nobody, did you mean @%s, everybody with such an address?", hint.Readable(s), hint.Readable(s))
	}
	return "", fmt.Errorf("%s is nobody; want %s", hint.Readable(s), WantAllow)
}

// ParseMember reads the name or id of a node, as it was written.
func ParseMember(s string) (string, error) {
	if _, err := certs.ParseNodeID(s); err == nil {
		return s, nil
	}
	if err := certs.CheckName(s); err != nil {
		return "", fmt.Errorf("%s is not %s: %w", hint.Readable(s), WantMember, err)
	}
	return s, nil
}

// ParseNode reads the name or id of a node; an id in its one form.
func ParseNode(s string) (string, error) {
	if id, err := certs.ParseNodeID(s); err == nil {
		return id.String(), nil
	}
	return s, certs.CheckName(s)
}
