package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"apquic/framing"
	"apquic/internal/debug"
	"apquic/internal/hint"
	"apquic/internal/suggest"
)

// longest is the longest duration that any setting may have: ten years.
const longest = 10 * 365 * 24 * time.Hour

// mostClients is the most that any setting may allow.
const mostClients = 1_000_000

// fault is a mistake in the settings, wherever they came from.
type fault struct {
	err        error
	keys       []string // those that it is about, as in the plain form
	suggestion string
}

type faults []fault

func (f *faults) add(err error, keys ...string) {
	if err != nil {
		*f = append(*f, fault{err: err, keys: keys})
	}
}

// Validate checks the settings as a whole, after the flags were applied, and
// returns everything that is wrong as [Errors].
func (s Server) Validate() error { return s.faults().errors() }

// Validate checks the settings as a whole, after the flags were applied, and
// returns everything that is wrong as [Errors].
func (n Node) Validate() error {
	all := n.joinFaults()
	if len(n.Services) == 0 {
		all.add(hint.Add(errors.New("there is no service to make public"),
			"give the address of one, such as 127.0.0.1:80, with --upstream or in services in the file"), "services")
	}
	return all.errors()
}

// ValidateJoin is Validate for a node that joins a server and may have no service yet.
func (n Node) ValidateJoin() error { return n.joinFaults().errors() }

// joinFaults adds what may be missing in a file, since there is another way to give it.
func (n Node) joinFaults() faults {
	all := n.faults()
	if n.Server.Server.IsZero() {
		all.add(hint.Add(errors.New("there is no server to connect to"),
			"join one with apquic-node join INVITATION, or give the invitation with --server or as server in the file"), "server")
	}
	return all
}

func (s Server) faults() (all faults) {
	all.add(checkListen(s.Listen), "listen")
	all.add(checkFamilies(s.IPv4, s.IPv6), "ipv4", "ipv6")
	listenHost, _, _ := net.SplitHostPort(s.Listen)
	all.add(checkReachable(listenHost, s.IPv4, s.IPv6), "listen", offFamily(s.IPv4))
	if s.Range.IsZero() {
		all.add(errors.New(`there are no ports; want public ports such as "20000-22000"`), "range")
	}
	if s.PublicHost != "" {
		_, err := parseHost(s.PublicHost)
		all.add(err, "publicHost")
	}
	all.add(checkPublicListen(s.PublicListen), "publicListen")
	all.add(checkReachable(s.PublicListen, s.IPv4, s.IPv6), "publicListen", offFamily(s.IPv4))
	all.add(within(s.LeaseTime, time.Second, longest), "leaseTime")
	all.number(s.MaxServices, 65535, "maxServices")
	all.number(s.MaxLeasesPerAddress, mostClients, "maxLeasesPerAddress")
	all.number(s.MaxClients, mostClients, "maxClients")
	all.number(s.MaxClientsPerAddress, mostClients, "maxClientsPerAddress")
	all.add(checkMemory(s.Memory), "memory")
	all.add(within(s.IdleTimeout, 5*time.Second, 24*time.Hour), "idleTimeout")
	all.add(within(s.Park, 0, time.Hour), "park")
	all.add(within(s.ResumeTime, 0, 24*time.Hour), "resumeTime")
	all.common(s.DataDir, s.Drain, s.LogLevel, s.LogFormat, s.DebugAddress)
	return all
}

func (n Node) faults() (all faults) {
	all.add(checkFamilies(n.IPv4, n.IPv6), "ipv4", "ipv6")
	all.add(checkReachable(n.Server.Host, n.IPv4, n.IPv6), "server", offFamily(n.IPv4))
	all.add(within(n.IdleTimeout, 5*time.Second, 24*time.Hour), "idleTimeout")
	all.checkKeepalive(n.Keepalive, n.IdleTimeout)
	all.add(checkMemory(n.Memory), "memory")
	all.services(n.Services)
	all.add(within(n.ResumeTime, 0, 24*time.Hour), "resumeTime")
	all.common(n.DataDir, n.Drain, n.LogLevel, n.LogFormat, n.DebugAddress)
	return all
}

// common checks what both programs have.
func (f *faults) common(dataDir string, drain time.Duration, logLevel, logFormat, debugAddress string) {
	if dataDir == "" {
		f.add(hint.Add(errors.New("there is no data directory, since this user has no home directory"),
			"name one with --data-dir or as dataDir in the file"), "dataDir")
	}
	f.add(within(drain, 0, time.Hour), "drain")
	f.oneOf("logLevel", logLevel, "debug", "info", "warn", "error")
	f.oneOf("logFormat", logFormat, "text", "json")
	if debugAddress != "" {
		f.add(debug.CheckAddress(debugAddress), "debugAddress")
	}
}

func (f *faults) number(n, most int, key string) {
	if n < 1 || n > most {
		f.add(fmt.Errorf("%d is not from 1 to %d", n, most), key)
	}
}

func (f *faults) oneOf(key, word string, known ...string) {
	if slices.Contains(known, word) {
		return
	}
	err := fmt.Errorf("%s is none of %s", readable(word), strings.Join(known, ", "))
	*f = append(*f, fault{err, []string{key}, suggest.Nearest(word, known)})
}

func (f *faults) services(services []Service) {
	names, ports := map[string]bool{}, map[uint16]string{}
	for _, s := range services {
		key := "services." + readable(s.Name)
		f.add(framing.CheckServiceName(s.Name), key)
		if names[s.Name] {
			f.add(errors.New("two services have this name"), key)
		}
		names[s.Name] = true
		if _, _, err := framing.ParseOrigin(s.Upstream); err != nil {
			f.add(err, key)
		}
		if other, taken := ports[s.PublicPort]; taken && s.PublicPort != 0 {
			f.add(fmt.Errorf("%d is also the public port of %s", s.PublicPort, other), key+".publicPort", "services."+other+".publicPort")
		}
		ports[s.PublicPort] = readable(s.Name)
	}
}

func checkListen(listen string) error {
	const want = `want an address and a UDP port for nodes, such as ":8090"`
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%s is no address with a port; %s", readable(listen), want)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s is no port from 0 to 65535; %s", readable(port), want)
	}
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return nil
	}
	if _, err := parseHost(host); err != nil {
		return fmt.Errorf("%w; %s", err, want)
	}
	return nil
}

func checkPublicListen(address string) error {
	if address == "" {
		return nil
	}
	if ip, err := netip.ParseAddr(address); err != nil || ip.IsMulticast() {
		return fmt.Errorf(`%s is not an IP address; want one of this machine, such as "203.0.113.5", without a port`, readable(address))
	}
	return nil
}

func checkFamilies(ipv4, ipv6 bool) error {
	if ipv4 || ipv6 {
		return nil
	}
	return errors.New("ipv4 and ipv6 are both off; at least one must be true")
}

// checkReachable checks that host, if it is an IP address, is of a family that is on.
func checkReachable(host string, ipv4, ipv6 bool) error {
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

// offFamily is the key of the family that is off, if one is.
func offFamily(ipv4 bool) string {
	if ipv4 {
		return "ipv6"
	}
	return "ipv4"
}

func within(d, least, most time.Duration) error {
	if d >= least && d <= most {
		return nil
	}
	return fmt.Errorf("%s is not from %s to %s", formatDuration(d), formatDuration(least), formatDuration(most))
}

// errors returns the faults for [Server.Validate] and [Node.Validate].
func (f faults) errors() error {
	var all Errors
	for _, fault := range f {
		all = append(all, &Error{Key: fault.keys[0], Text: fault.err.Error(), Suggestion: fault.suggestion, cause: fault.err})
	}
	return all.orNil()
}

// reportFault reports a fault if the file alone is to blame, at the first of
// its keys. Others may be mended by flags and are left to Validate.
func (d *document) reportFault(f fault) {
	for _, key := range f.keys {
		if _, given := d.places[key]; !given {
			return
		}
	}
	d.add(d.places[f.keys[0]], f.keys[0], f.err, f.suggestion)
}
