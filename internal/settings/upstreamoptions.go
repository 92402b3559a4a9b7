package settings

import (
	"errors"
	"fmt"
	"strings"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

// upstreamOptions are the keys of a service that say how to deal with its upstream.
func upstreamOptions(s *Service) jsonc.Form {
	return jsonc.Form{
		"host":          {Want: `the name that the service knows, such as "nas.local"`, Set: jsonc.Into(&s.Host, jsonc.Parsed(address.ParseHostHeader))},
		"ca":            {Want: `the path of a PEM file, such as "/etc/ssl/home-ca.pem"`, Set: jsonc.Into(&s.CA, jsonc.Value.Text)},
		"pin":           {Want: "the SHA-256 of the service's certificate, 64 hexadecimal digits with or without colons", Set: jsonc.Into(&s.Pin, jsonc.Parsed(address.ParsePin))},
		"listing":       {Want: "true to show what is in a folder without index.html, or false", Set: jsonc.Into(&s.Listing, jsonc.Value.Bool)},
		"networks":      networks().into(&s.Networks),
		"proxyProtocol": {Want: "1 or 2, the version that the service understands, or 0 for none", Set: jsonc.Into(&s.ProxyProtocol, jsonc.Whole(0, 2))},
	}
}

// checkOptions checks the options of a service against its address.
func checkOptions(s Service) error {
	network, _, err := framing.ParseOrigin(s.Upstream)
	if err != nil {
		return nil // that is reported already
	}
	switch {
	case network == "socks5" && len(s.Networks) == 0:
		return errors.New(`a socks5: upstream needs "networks", the networks that it leads to, such as ["192.168.1.0/24"]`)
	case network != "socks5" && len(s.Networks) > 0:
		return fmt.Errorf("networks is for a proxy, socks5:, and %s is none", hint.Readable(s.Upstream))
	case (network == "file" || network == "socks5") && s.ProxyProtocol != 0:
		return errors.New("proxyProtocol is for services of other programs; this one is the node's own")
	case strings.Contains(network, "udp") && s.ProxyProtocol == 1:
		return errors.New("over UDP the PROXY protocol has version 2 only: 2 puts its header before each datagram")
	case network != "file" && s.Listing:
		return fmt.Errorf("listing is for a folder, file:/path, and %s is none", hint.Readable(s.Upstream))
	case network != "https" && s.CA+s.Pin != "":
		return fmt.Errorf("ca and pin are for an upstream that begins with https://, and %s does not", hint.Readable(s.Upstream))
	case s.Host != "" && network != "http" && network != "https":
		return fmt.Errorf("host is for an upstream that begins with http:// or https://, and %s does not", hint.Readable(s.Upstream))
	case s.Host != "" && s.Private:
		return errors.New("host is for a public service: of a private one the node reads no HTTP")
	case s.Host != "" && s.TLS == TLSPass:
		return hint.Add(fmt.Errorf("host needs the node to read HTTP, and with tls %q it does not", s.TLS), `use tls "node" or "terminate", or leave host out and have the service accept the public name`)
	case s.CA != "" && s.Pin != "":
		return errors.New("the certificate is checked by ca or by pin, not by both: remove one of them")
	case s.ProxyProtocol < 0 || s.ProxyProtocol > 2:
		return fmt.Errorf("the version of the PROXY protocol is 1 or 2, or 0 for none, not %d", s.ProxyProtocol)
	}
	return nil
}

// describeOptions says what the options of a service mean, to follow its address.
func describeOptions(s Service) string {
	var b strings.Builder
	network, _, _ := framing.ParseOrigin(s.Upstream)
	switch {
	case network == "file" && s.Listing:
		b.WriteString(", a folder to read, with lists of what is in it")
	case network == "file":
		b.WriteString(", a folder to read, without lists of what is in it")
	case network == "socks5":
		fmt.Fprintf(&b, ", a proxy: whoever reaches its port reaches %s", networks().format(s.Networks))
	case s.CA != "":
		fmt.Fprintf(&b, ", with a certificate by %s", s.CA)
	case s.Pin != "":
		fmt.Fprintf(&b, ", with the certificate %s…", s.Pin[:min(len(s.Pin), 8)])
	case network == "https":
		b.WriteString(", with a certificate that this machine trusts")
	}
	if s.Host != "" {
		fmt.Fprintf(&b, ", with the Host %s in each request", s.Host)
	}
	if s.ProxyProtocol != 0 {
		fmt.Fprintf(&b, ", told of each client by PROXY protocol version %d", s.ProxyProtocol)
	}
	return b.String()
}
