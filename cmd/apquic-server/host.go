package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"apquic/internal/settings"
)

// publicHost is the host for invitations and public addresses: the one given, the listening address if there
// is only one, the machine's first public address, or any other.
func publicHost(config settings.Server) string {
	if config.PublicHost != "" {
		return config.PublicHost
	}
	host, _, _ := net.SplitHostPort(config.Listen)
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return host
	}
	addresses, _ := net.InterfaceAddrs() // on error there are none
	best := netip.Addr{}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if ip := prefix.Addr().Unmap(); err == nil && rank(config, ip) > rank(config, best) {
			best = ip
		}
	}
	if best.IsValid() {
		return best.String()
	}
	return noHost
}

// noHost stands for a machine without an address.
const noHost = "localhost"

// rank says how well an address of this machine suits an invitation; 0: not at all.
func rank(config settings.Server, ip netip.Addr) int {
	switch {
	case !ip.IsGlobalUnicast(), ip.Is4() && !config.IPv4, ip.Is6() && !config.IPv6:
		return 0
	case isPrivate(ip) && ip.Is6():
		return 1
	case isPrivate(ip):
		return 2
	case ip.Is6(): // more nodes can reach IPv4
		return 3
	}
	return 4
}

// sharedAddresses are those of carrier-grade NATs (RFC 6598).
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

func isPrivate(ip netip.Addr) bool { return ip.IsPrivate() || sharedAddresses.Contains(ip) }

// wantedBuffer is the socket buffer that quic-go requests.
const wantedBuffer = 7 << 20

// advise logs what works now but will fail later; advice that is not urgent only on the first start.
func advise(log *slog.Logger, config settings.Server, host string, firstStart bool) {
	ip, err := netip.ParseAddr(host)
	switch {
	case config.PublicHost != "":
	case err == nil && isPrivate(ip):
		log.Warn("the invitation has a private address, which nodes elsewhere cannot reach; set another with --public-host", "host", host)
	case host == noHost:
		log.Warn("this machine has no address yet, so invitations and public addresses say "+noHost+" until it has one; set another with --public-host",
			"host", host)
	}
	if !firstStart {
		return
	}
	if runtime.GOOS != "linux" || os.Geteuid() == 0 {
		return // other systems have no such limit, or are not bound by it
	}
	limit, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		return
	}
	if bytes, err := strconv.Atoi(strings.TrimSpace(string(limit))); err == nil && bytes < wantedBuffer {
		log.Info("fast transfers may lose packets: the kernel's limit for UDP buffers is small",
			"limit", bytes, "fix", fmt.Sprintf("sysctl -w net.core.rmem_max=%d net.core.wmem_max=%d", wantedBuffer, wantedBuffer))
	}
}
