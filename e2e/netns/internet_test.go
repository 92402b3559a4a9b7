//go:build linux

package netns

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// serverIP is the public machine's address on all its interfaces.
const serverIP = "192.0.2.1"

// natRules make a typical home router: each mapping gets a random port, and unsolicited packets are silently
// dropped.
const natRules = `
table ip home {
	chain postrouting {
		type nat hook postrouting priority 100
		oifname "wan" masquerade fully-random
	}
	chain input {
		type filter hook input priority 0
		iifname "wan" drop
	}
}
`

// internet is home with two uplinks, of which the first is in use, and a public machine:
//
//	      wifi +------+ wan   link      +--------+
//	+------+---| nat1 |================+|        |
//	| home |   +------+                 | public |
//	+------+---| nat2 |================+|        |
//	       lte +------+ wan   link      +--------+
type internet struct {
	t            testing.TB
	home, public *namespace
	uplinks      []*uplink
}

type uplink struct {
	nat    *namespace
	link   *link
	device string // at home
	number int
}

func newInternet(t testing.TB) *internet {
	t.Helper()
	skipUnlessEnabled(t)
	id := networks.Add(1)
	i := &internet{t: t, home: newNamespace(t, id, "home"), public: newNamespace(t, id, "public")}
	i.add(id, "wifi", "delay=20ms rate=50mbit queue=256k")
	i.add(id, "lte", "delay=20ms rate=50mbit queue=256k mtu=1400")
	t.Cleanup(func() {
		if t.Failed() {
			i.show()
		}
	})
	return i
}

// add adds an uplink. Home prefers those that were added earlier.
func (i *internet) add(id int64, device, properties string) {
	i.t.Helper()
	number := len(i.uplinks) + 1
	nat := newNamespace(i.t, id, fmt.Sprintf("nat%d", number))
	remote := fmt.Sprintf("to%d", number)
	u := &uplink{nat, newLink(i.t, nat, "wan", i.public, remote), device, number}
	u.link.set(properties)
	i.uplinks = append(i.uplinks, u)

	nat.ip(
		fmt.Sprintf("link add lan type veth peer name %s netns %s", device, i.home.name),
		"link set lan up",
		fmt.Sprintf("addr add %s/24 dev lan", u.gateway()),
		fmt.Sprintf("addr add %s peer %s dev wan", u.publicIP(), serverIP),
		"route add default dev wan",
	)
	i.public.ip(fmt.Sprintf("addr add %s peer %s dev %s", serverIP, u.publicIP(), remote))
	i.home.ip("link set " + device + " up")
	i.home.ip(u.configure(2)...)
	nat.run(natRules, "nft", "-f", "-")
	if err := nat.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		i.t.Fatal(err)
	}
}

// show describes the state of the network.
func (i *internet) show() {
	i.t.Logf("home:\n%s%s", i.home.run("", "ip", "-brief", "addr"), i.home.run("", "ip", "route"))
	for _, u := range i.uplinks {
		i.t.Logf("nat%d:\n%s", u.number, u.nat.run("", "conntrack", "-L"))
	}
}

func (u *uplink) gateway() string  { return fmt.Sprintf("192.168.%d.1", u.number) }
func (u *uplink) publicIP() string { return fmt.Sprintf("198.51.100.%d", u.number) }
func (u *uplink) address(host int) string {
	return fmt.Sprintf("192.168.%d.%d/24", u.number, host)
}

// configure does what home does with the router's DHCP data.
func (u *uplink) configure(host int) []string {
	return []string{
		fmt.Sprintf("addr add %s dev %s", u.address(host), u.device),
		fmt.Sprintf("route replace default via %s dev %s metric %d", u.gateway(), u.device, 100*u.number),
	}
}

var translated = regexp.MustCompile(`udp .* dst=` + regexp.QuoteMeta(serverIP) + ` .* src=` + regexp.QuoteMeta(serverIP) + ` .* dport=([0-9]+)`)

// outsidePort is the port under which the server sees the node through this uplink, "" while there is no
// mapping. Of several mappings it is the newest that has received an answer.
func (u *uplink) outsidePort() (port string) {
	for line := range strings.Lines(u.nat.run("", "conntrack", "-L", "-p", "udp")) {
		if match := translated.FindStringSubmatch(line); match != nil && !strings.Contains(line, "UNREPLIED") {
			port = match[1]
		}
	}
	return port
}

// forget makes the NAT forget its mappings, as a router's restart does.
func (u *uplink) forget() { u.nat.run("", "conntrack", "-F") }
