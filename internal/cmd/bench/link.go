package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"apquic/internal/cmd/bench/proc"
)

// linkSettings are the properties of the link between server and home.
type linkSettings struct {
	delay time.Duration // one way
	loss  float64       // share of the packets
	rate  string        // of the link, in each direction
	tcp   string        // the congestion control of TCP at both ends
}

// line is the command for the link program's stdin.
func (l linkSettings) line() string {
	// The queue holds what the link carries in 100 ms, as that of a home router might.
	return fmt.Sprintf("delay=%v loss=%v rate=%s queue=2500k", l.delay, l.loss, l.rate)
}

// The addresses on the link: a server, and a home behind a router.
const (
	linkServer = "203.0.113.1"
	linkRouter = "203.0.113.2"
	lanRouter  = "192.168.77.1"
	lanHome    = "192.168.77.2"
)

// forwardedPort is the port of the router that leads to the service without a tunnel.
const forwardedPort = "20080"

// linkMissing says why links cannot be created here; empty if they can.
func linkMissing(program string) string {
	if os.Geteuid() != 0 {
		return "it needs root"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "it needs /dev/net/tun"
	}
	if _, err := os.Stat(program); err != nil {
		return "it needs " + program
	}
	for _, tool := range []string{"ip", "nft", "conntrack"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "it needs the program " + tool
		}
	}
	return ""
}

// linkNetwork is three network namespaces: the server's, the router's, and the home behind it.
type linkNetwork struct {
	server, router, home proc.Place
	cable                *proc.Process
}

// newLink makes the namespaces with the link program between server and router.
func newLink(ctx context.Context, program string, settings linkSettings) (_ *network, err error) {
	id := fmt.Sprintf("apq%d", os.Getpid())
	l := &linkNetwork{server: proc.Place(id + "s"), router: proc.Place(id + "r"), home: proc.Place(id + "h")}
	defer func() {
		if err != nil {
			l.remove()
		}
	}()
	for _, place := range []proc.Place{l.server, l.router, l.home} {
		if err := here("ip netns add " + string(place)); err != nil {
			return nil, err
		}
	}
	left, right := id+"a", id+"b"
	if l.cable, err = proc.Place("").Start(os.TempDir(), program, left, right); err != nil {
		return nil, err
	}
	if _, err := l.cable.Wait(ctx, regexp.MustCompile(`^ready$`)); err != nil {
		return nil, err
	}
	if err := l.connect(left, right, settings.tcp); err != nil {
		return nil, err
	}
	if err := l.set(ctx, settings.line()); err != nil {
		return nil, err
	}
	return &network{
		server: l.server, home: l.home, host: linkServer,
		forward: l.forward, rebind: l.rebind, cut: l.cut, remove: l.remove,
	}, nil
}

// connect gives every place its addresses and routes, and the router its NAT.
func (l *linkNetwork) connect(left, right, tcp string) error {
	steps := []struct {
		place proc.Place
		line  string
	}{
		{"", "ip link set " + left + " netns " + string(l.server)},
		{"", "ip link set " + right + " netns " + string(l.router)},
		{"", fmt.Sprintf("ip link add lan netns %s type veth peer name lan netns %s", l.router, l.home)},
		{l.server, "ip addr add " + linkServer + "/24 dev " + left},
		{l.router, "ip addr add " + linkRouter + "/24 dev " + right},
		{l.router, "ip addr add " + lanRouter + "/24 dev lan"},
		{l.home, "ip addr add " + lanHome + "/24 dev lan"},
		{l.server, "ip link set lo up"}, {l.server, "ip link set " + left + " up"},
		{l.router, "ip link set lo up"}, {l.router, "ip link set lan up"}, {l.router, "ip link set " + right + " up"},
		{l.home, "ip link set lo up"}, {l.home, "ip link set lan up"},
		// No connection may start with what another one learned.
		{l.server, "sysctl -qw net.ipv4.tcp_no_metrics_save=1"},
		{l.home, "sysctl -qw net.ipv4.tcp_no_metrics_save=1"},
		// The sysctl would affect the whole machine.
		{l.server, "ip route replace 203.0.113.0/24 dev " + left + " congctl " + tcp},
		{l.home, "ip route add default via " + lanRouter + " congctl " + tcp},
		{l.router, "sysctl -qw net.ipv4.ip_forward=1"},
		{l.router, "nft add table ip nat"},
		{l.router, "nft add chain ip nat out { type nat hook postrouting priority 100 ; }"},
		{l.router, "nft add rule ip nat out oifname " + right + " masquerade fully-random"},
		{l.router, "nft add chain ip nat in { type nat hook prerouting priority -100 ; }"},
		{l.router, "nft add table ip filter"},
		// Like home routers, it does not answer packets without a mapping.
		{l.router, "nft add chain ip filter in { type filter hook input priority 0 ; }"},
		{l.router, "nft add rule ip filter in iifname " + right + " drop"},
	}
	for _, step := range steps {
		if _, err := step.place.Run(strings.Fields(step.line)...); err != nil {
			return fmt.Errorf("laying the link: %w", err)
		}
	}
	return nil
}

func here(line string) error {
	_, err := proc.Place("").Run(strings.Fields(line)...)
	return err
}

// set changes the link's properties.
func (l *linkNetwork) set(ctx context.Context, line string) error {
	if _, err := io.WriteString(l.cable.Stdin, line+"\n"); err != nil {
		return fmt.Errorf("telling the link %q: %w", line, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := l.cable.Wait(ctx, regexp.MustCompile(`^(ok|error: .*)$`))
	if err == nil && answer[1] != "ok" {
		err = errors.New(answer[1])
	}
	if err != nil {
		return fmt.Errorf("telling the link %q: %w", line, err)
	}
	return nil
}

// forward makes the service reachable at a port of the router.
func (l *linkNetwork) forward(service string) (string, error) {
	_, port, err := net.SplitHostPort(service)
	if err != nil {
		return "", err
	}
	rule := fmt.Sprintf("nft add rule ip nat in tcp dport %s dnat to %s:%s", forwardedPort, lanHome, port)
	if _, err := l.router.Run("nft", "flush", "chain", "ip", "nat", "in"); err != nil {
		return "", err
	}
	if _, err := l.router.Run(strings.Fields(rule)...); err != nil {
		return "", err
	}
	return linkRouter + ":" + forwardedPort, nil
}

// rebind makes the router forget its mappings: the next packet from home gets another outside port.
func (l *linkNetwork) rebind() error {
	_, err := l.router.Run("conntrack", "-F")
	return err
}

// cut breaks the link for a time.
func (l *linkNetwork) cut(ctx context.Context, d time.Duration) error {
	if err := l.set(ctx, "down"); err != nil {
		return err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return l.set(context.WithoutCancel(ctx), "up")
}

func (l *linkNetwork) remove() {
	if l.cable != nil {
		l.cable.Stop()
	}
	for _, place := range []proc.Place{l.server, l.router, l.home} {
		here("ip netns del " + string(place)) // fails if it was not created
	}
}
