package address

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"apquic/framing"
	"apquic/internal/hint"
)

// ParseUpstream turns the address of a service into its URI. A port alone is one of this machine. For an
// address in a form that other programs use, or with a missing part, the error says what was probably meant.
func ParseUpstream(s string) (string, error) {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		s = "127.0.0.1:" + s
	}
	origin := s
	if strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
		origin = strings.TrimSuffix(s, "/") // as browsers show it
	}
	network, address, err := framing.ParseOrigin(origin)
	if err == nil {
		return framing.FormatOrigin(network, address), nil
	}
	for _, meant := range []string{withoutScheme(s), withHost(s), withBrackets(s), withPort(s), withEqualsSign(s), asFolder(s)} {
		if meant != "" {
			return "", fmt.Errorf("%s is not a service address, did you mean %s?", hint.Readable(s), meant)
		}
	}
	return "", err
}

// parsesAs returns upstream if it is a service address, otherwise "".
func parsesAs(upstream string) string {
	if _, _, err := framing.ParseOrigin(upstream); err != nil {
		return ""
	}
	return upstream
}

// withoutScheme is for http://127.0.0.1:8000/app, which is no address, and for ssh://nas and the like: the tunnel
// carries bytes, whatever they mean.
func withoutScheme(s string) string {
	link, err := url.Parse(s)
	if err != nil || link.Host == "" || link.Opaque != "" || strings.Contains(strings.ToLower(link.Scheme), "udp") {
		return ""
	}
	scheme, port := strings.ToLower(link.Scheme), link.Port()
	if scheme == "http" || scheme == "https" {
		return parsesAs(scheme + "://" + link.Host)
	}
	if port == "" {
		port = map[string]string{"ssh": "22", "ws": "80", "wss": "443"}[scheme]
	}
	if port == "" {
		return ""
	}
	return parsesAs(net.JoinHostPort(link.Hostname(), port))
}

// withHost is for :8000, which to listening programs means all addresses of the machine.
func withHost(s string) string {
	if !strings.HasPrefix(s, ":") {
		return ""
	}
	return parsesAs("127.0.0.1" + s)
}

// withBrackets is for ::1:8000.
func withBrackets(s string) string {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.Count(s, ":") < 3 {
		return ""
	}
	if _, err := netip.ParseAddr(s[:colon]); err != nil {
		return ""
	}
	return parsesAs("[" + s[:colon] + "]" + s[colon:])
}

// withPort is for 127.0.0.1 and [::1].
func withPort(s string) string {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err != nil {
		return ""
	}
	return parsesAs(net.JoinHostPort(strings.Trim(s, "[]"), "80"))
}

// asFolder is for /srv/www.
func asFolder(s string) string {
	if !strings.HasPrefix(s, "/") {
		return ""
	}
	return parsesAs("file:" + s)
}

// withEqualsSign is for web:127.0.0.1:80.
func withEqualsSign(s string) string {
	name, upstream, found := strings.Cut(s, ":")
	if !found || framing.CheckServiceName(name) != nil || parsesAs(upstream) == "" {
		return ""
	}
	return name + "=" + upstream
}

// WantUpstreamHost is what [ParseUpstreamHost] reads, for people.
const WantUpstreamHost = `with ports the upstream is a host without port, such as "udp://127.0.0.1"`

// ParseUpstreamHost turns the address of a service without its port into scheme://host.
func ParseUpstreamHost(s string) (string, error) {
	network, host, err := framing.ParseOrigin(s + ":1")
	if err != nil || !strings.Contains(framing.FormatOrigin(network, ""), "://") {
		return "", fmt.Errorf("%s is not a host; %s", hint.Readable(s), WantUpstreamHost)
	}
	host, _, err = net.SplitHostPort(host)
	return network + "://" + host, err
}

// ParsePin reads the SHA-256 of a certificate, also as openssl prints it, and returns it in one spelling.
func ParsePin(s string) (string, error) {
	pin := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	if raw, err := hex.DecodeString(pin); err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%s is not the SHA-256 of a certificate, which has 64 hexadecimal digits", hint.Readable(s))
	}
	return pin, nil
}

// ParseHostWithZone reads the host of an upstream, which may also have a zone: fe80::1%eth0.
func ParseHostWithZone(s string) (string, error) {
	if _, err := ParseUpstream(net.JoinHostPort(s, "1")); err != nil {
		return "", fmt.Errorf(`%s is neither a host name nor an IP address; want the name or IP address of the service to make public, such as "192.168.1.101"`, hint.Readable(s))
	}
	return s, nil
}
