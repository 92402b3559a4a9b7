package framing

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxOriginSize      = 1024
	maxHostSize        = 255
	maxServiceNameSize = 64
)

// ParseOrigin splits the address of a service into what net.Dial takes. It accepts tcp://host:port, the
// bare host:port, which means the same, and unix:/path or unix:///path, in 1024 bytes at most. A path is
// taken as it stands, without percent-encoding. One address has one spelling in the result.
func ParseOrigin(s string) (network, address string, err error) {
	if len(s) > maxOriginSize {
		return "", "", fmt.Errorf("the address of a service has at most %d bytes, not %d", maxOriginSize, len(s))
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path, ok = cleanPath(path); !ok {
			return "", "", fmt.Errorf("%.80q is no address of a service: a unix socket is written unix:/path/to/socket", s)
		}
		return "unix", path, nil
	}
	address, ok := cleanHostPort(strings.TrimPrefix(s, "tcp://"))
	if !ok {
		return "", "", fmt.Errorf("%.80q is no address of a service, such as 127.0.0.1:80, tcp://host:80 or unix:/path, with a port from 1 to 65535", s)
	}
	return "tcp", address, nil
}

// FormatOrigin is the URI of an address that ParseOrigin returned, which reads it back.
func FormatOrigin(network, address string) string {
	if network == "unix" {
		return "unix:" + address
	}
	return network + "://" + address
}

// cleanPath accepts an absolute path that is more than slashes. Several slashes at its begin become one,
// since FormatOrigin would make unix://name of two.
func cleanPath(path string) (string, bool) {
	name := strings.TrimLeft(path, "/")
	return "/" + name, strings.HasPrefix(path, "/") && name != "" && isText(name)
}

func cleanHostPort(s string) (string, bool) {
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", false
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return "", false
	}
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", false
		}
	}
	ok := host != "" && len(host) <= maxHostSize && isText(host) && !strings.ContainsAny(host, " /?#@[]")
	return net.JoinHostPort(host, strconv.FormatUint(port, 10)), ok
}

// isText reports whether s can be shown on one line: valid UTF-8 without control characters.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// CheckServiceName accepts 1 to 64 of the characters a-z 0-9 . _ - of which the first is a letter or digit.
func CheckServiceName(name string) error {
	ok := len(name) > 0 && len(name) <= maxServiceNameSize
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%.80q is no name of a service: 1 to %d of a-z 0-9 . _ - beginning with a letter or digit", name, maxServiceNameSize)
	}
	return nil
}
