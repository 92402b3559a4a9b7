package address

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	"apquic/certs"
	"apquic/internal/hint"
)

// CheckURL is for the URL of an authority; empty: none.
func CheckURL(text string) error {
	if u, err := url.Parse(text); text != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("%s is not a URL that begins with https://", hint.Readable(text))
	}
	return nil
}

// CheckNodeName is for what a node would like to be called; empty: nothing.
func CheckNodeName(name string) error {
	if name == "" {
		return nil
	}
	return certs.CheckName(name)
}

// CheckPublicListen is for an address of this machine; empty: all of them.
func CheckPublicListen(address string) error {
	if address == "" {
		return nil
	}
	if ip, err := netip.ParseAddr(address); err != nil || ip.IsMulticast() {
		return fmt.Errorf(`%s is not an IP address; want one of this machine, such as "203.0.113.5", without a port`, hint.Readable(address))
	}
	return nil
}

// CheckFamilies checks that a family of addresses is on.
func CheckFamilies(ipv4, ipv6 bool) error {
	if ipv4 || ipv6 {
		return nil
	}
	return errors.New("ipv4 and ipv6 are both off; at least one must be true")
}

// CheckReachable checks that host, if it is an IP address, is of an enabled family.
func CheckReachable(host string, ipv4, ipv6 bool) error {
	ip, err := netip.ParseAddr(host)
	if err != nil || !ipv4 && !ipv6 {
		return nil
	}
	switch ip = ip.Unmap(); {
	case ip.Is4() && !ipv4:
		return fmt.Errorf("%v is an IPv4 address, and ipv4 is off", ip)
	case ip.Is6() && !ipv6:
		return fmt.Errorf("%v is an IPv6 address, and ipv6 is off", ip)
	}
	return nil
}

// OffFamily is the key of the disabled family, if there is one.
func OffFamily(ipv4 bool) string {
	if ipv4 {
		return "ipv6"
	}
	return "ipv4"
}
