package config

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"apquic/certs"
)

// setting is one line of a description.
type setting struct{ key, value string }

// Describe says what the settings are, one per line, with the defaults marked and without secrets.
func (s Server) Describe() string { return describe(s.settings(), DefaultServer().settings()) }

// Describe says what the settings are, one per line, with the defaults marked and without secrets.
func (n Node) Describe() string { return describe(n.settings(), DefaultNode().settings()) }

func (s Server) settings() []setting {
	publicHost := s.PublicHost
	if publicHost == "" {
		publicHost = "an address of this machine"
	}
	all := []setting{
		{"listen", s.Listen},
		{"range", fmt.Sprintf("%v (%d ports)", s.Range, s.Range.Size())},
		{"publicHost", publicHost},
		{"publicListen", cmp.Or(s.PublicListen, "all addresses of this machine")},
		{"dataDir", s.DataDir},
		{"key", describeKey(s.Key)},
		{"leaseTime", formatDuration(s.LeaseTime)},
		{"maxServices", fmt.Sprint(s.MaxServices)},
		{"maxLeasesPerAddress", fmt.Sprint(s.MaxLeasesPerAddress)},
		{"maxClients", fmt.Sprint(s.MaxClients)},
		{"maxClientsPerAddress", fmt.Sprint(s.MaxClientsPerAddress)},
		{"memory", describeMemory(s.Memory)},
		{"open", fmt.Sprint(s.Open)},
		{"silent", fmt.Sprint(s.Silent)},
		{"ipv4", fmt.Sprint(s.IPv4)},
		{"ipv6", fmt.Sprint(s.IPv6)},
		{"idleTimeout", formatDuration(s.IdleTimeout)},
		{"park", formatDuration(s.Park)},
		{"resumeTime", formatDuration(s.ResumeTime)},
		{"drain", formatDuration(s.Drain)},
		{"netId", fmt.Sprint(s.NetID)},
		{"logLevel", s.LogLevel},
		{"logFormat", s.LogFormat},
		{"debugAddress", cmp.Or(s.DebugAddress, "none")},
	}
	return append(all, describeDiscovery(s.Bootstraps, s.DiscoveryPort)...)
}

func (n Node) settings() []setting {
	all := []setting{{"server", n.Server.Redacted()}}
	if n.Server.Server.IsZero() {
		all[0].value = "none"
	}
	for _, s := range n.Services {
		value := s.Upstream + " at any public port"
		if s.PublicPort != 0 {
			value = fmt.Sprintf("%s at public port %d if it is free", s.Upstream, s.PublicPort)
		}
		all = append(all, setting{"services." + readable(s.Name), value})
	}
	all = append(all, []setting{
		{"dataDir", n.DataDir},
		{"key", describeKey(n.Key)},
		{"ipv4", fmt.Sprint(n.IPv4)},
		{"ipv6", fmt.Sprint(n.IPv6)},
		{"keepalive", FormatKeepalive(n.Keepalive)},
		{"memory", describeMemory(n.Memory)},
		{"idleTimeout", formatDuration(n.IdleTimeout)},
		{"resumeTime", formatDuration(n.ResumeTime)},
		{"drain", formatDuration(n.Drain)},
		{"netId", fmt.Sprint(n.NetID)},
		{"logLevel", n.LogLevel},
		{"logFormat", n.LogFormat},
		{"debugAddress", cmp.Or(n.DebugAddress, "none")},
	}...)
	return append(all, describeDiscovery(n.Bootstraps, n.DiscoveryPort)...)
}

func describeKey(key certs.PrivateKey) string {
	if key.IsZero() {
		return "in the data directory"
	}
	return "from the file, of " + key.ID().String()
}

func describeDiscovery(bootstraps []Bootstrap, port uint16) (all []setting) {
	for i, b := range bootstraps {
		all = append(all, setting{fmt.Sprintf("bootstraps[%d]", i), fmt.Sprintf("%v at %s (not used yet)", b.ID, joinPort(b.Address, b.Port))})
	}
	if port != 0 {
		all = append(all, setting{"port", fmt.Sprintf("%d (of discovery, not used yet)", port)})
	}
	return all
}

func describe(settings, defaults []setting) string {
	isDefault := map[setting]bool{}
	for _, d := range defaults {
		isDefault[d] = true
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		mark := ""
		if isDefault[s] {
			mark = "  (default)"
		}
		fmt.Fprintf(w, "%s\t%s%s\n", s.key, s.value, mark)
	}
	w.Flush() // into memory: it cannot fail
	return b.String()
}

// formatDuration is d without the zeros at the end: 3h, not 3h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if trimmed, ok := strings.CutSuffix(s, "m0s"); ok {
		s = trimmed + "m"
	}
	if trimmed, ok := strings.CutSuffix(s, "h0m"); ok {
		s = trimmed + "h"
	}
	return s
}
