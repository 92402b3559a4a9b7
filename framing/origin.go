package framing

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxOriginSize      = 1024
	maxHostSize        = 255
	maxServiceNameSize = 64
	// MaxServiceNames bounds the names of all services in a ProxyRequest.
	MaxServiceNames = 1024
	// MaxAllowNodes bounds the nodes that may connect to a private service, MaxNodeName the name of one, in bytes.
	MaxAllowNodes = 32
	MaxNodeName   = 200
)

// ParseOrigin splits the address of a service, of at most 1024 bytes, into a network and an address:
// tcp://host:port, the bare host:port, which means the same, and unix:/path or unix:///path into the arguments of
// net.Dial, and udp://host:port and tcp+udp://host:port, whose network must be dialed as either; http://host and https://host, with or without :port, into http or https and host:port; file:/path or
// file:///path into file and the path; socks5: into socks5 and nothing. docs/protocol.md section 5.3 has the
// grammar. Path and host are returned as they are spelled in s, without percent-decoding.
func ParseOrigin(s string) (network, address string, err error) {
	if len(s) > maxOriginSize {
		return "", "", fmt.Errorf("a service address has at most %d bytes, not %d", maxOriginSize, len(s))
	}
	if s == "socks5:" {
		return "socks5", "", nil
	}
	for network, example := range pathOrigins {
		if path, ok := strings.CutPrefix(s, network+":"); ok {
			path = strings.TrimPrefix(path, "//")
			if !isPath(path) {
				return "", "", fmt.Errorf("%.80q is not a service address: %s", s, example)
			}
			return network, path, nil
		}
	}
	for network, port := range webPorts {
		if address, ok := strings.CutPrefix(s, network+"://"); ok {
			return parseWeb(network, address, port)
		}
	}
	network, address = "tcp", s
	for _, scheme := range []string{"tcp", "udp", "tcp+udp"} {
		if rest, ok := strings.CutPrefix(s, scheme+"://"); ok {
			network, address = scheme, rest
		}
	}
	if !isHostPort(address) {
		return "", "", fmt.Errorf("%.80q is not a service address such as 127.0.0.1:80, tcp://host:80, udp://[::1]:53 or unix:/path, with a port from 1 to 65535", s)
	}
	return network, address, nil
}

// pathOrigins are the networks whose addresses are paths, and how they are written.
var pathOrigins = map[string]string{
	"unix": "a unix socket is written unix:/path/to/socket",
	"file": "a folder is written file:/path/to/folder",
}

// webPorts are the ports of URIs that do not say one.
var webPorts = map[string]string{"http": "80", "https": "443"}

func parseWeb(scheme, address, port string) (network, hostPort string, err error) {
	for _, hostPort := range []string{address, address + ":" + port} {
		if isHostPort(hostPort) {
			return scheme, hostPort, nil
		}
	}
	return "", "", fmt.Errorf("%.80q is not a service address: it begins with %s:// and then has only a host, such as nas.lan or [::1], and a port from 1 to 65535 if it is not %s", scheme+"://"+address, scheme, port)
}

// FormatOrigin is the URI of an address that ParseOrigin returned. ParseOrigin reads it back.
func FormatOrigin(network, address string) string {
	if _, isPath := pathOrigins[network]; isPath || network == "socks5" {
		return network + ":" + address
	}
	return network + "://" + address
}

// isPath accepts an absolute path. It begins with one slash: unix://name is not taken for /name.
func isPath(path string) bool {
	return len(path) > 1 && path[0] == '/' && path[1] != '/' && isText(path)
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !isPort(port) {
		return false
	}
	if s[0] != '[' {
		return len(host) <= maxHostSize && isName(host)
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Is6() && (address.Zone() == "" || isName(address.Zone()))
}

func isPort(digits string) bool {
	port, err := strconv.ParseUint(digits, 10, 16)
	return err == nil && port > 0 && digits[0] != '0'
}

// isName accepts the characters of DNS names, IPv4 addresses and interface names.
func isName(s string) bool {
	other := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	return s != "" && !strings.ContainsFunc(s, other)
}

// isText reports whether s can be shown on one line: UTF-8 without control characters, breaks, or characters
// that change the direction of text. Unlike unicode.IsPrint it does not depend on the version of Unicode.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x61c || r == 0x200e || r == 0x200f ||
			r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	})
}

// CheckServiceName accepts 1 to 64 of the characters a-z 0-9 . _ - beginning with a letter or digit.
func CheckServiceName(name string) error {
	ok := len(name) > 0 && len(name) <= maxServiceNameSize
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%.80q is not a service name: want 1 to %d of a-z 0-9 . _ - beginning with a letter or digit", name, maxServiceNameSize)
	}
	return nil
}

// maxServiceNameBytes is how many bytes of a ProxyRequest, which has 64 KiB, the names of all services may take.
const maxServiceNameBytes = 32 << 10

// ServiceNames returns what ProxyRequest.services has to be when a service is asked for: its name, and then all others
// of the node; nil: they are too many to send.
func ServiceNames(asked string, all []string) []string {
	names, size := []string{asked}, len(asked)
	for _, name := range all {
		if name != asked {
			names = append(names, name)
			size += len(name)
		}
	}
	if len(names) > MaxServiceNames || size > maxServiceNameBytes {
		return nil
	}
	return names
}
