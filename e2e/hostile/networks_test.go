//go:build linux

package hostile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apquic/certs"
)

// anyIP makes all addresses of a network local to the namespace of the tests.
func anyIP(t *testing.T, network string) {
	t.Helper()
	out, err := exec.Command("ip", "-6", "route", "replace", "local", network, "dev", "lo").CombinedOutput()
	if err == nil {
		err = os.WriteFile("/proc/sys/net/ipv6/ip_nonlocal_bind", []byte("1"), 0)
	}
	if err != nil {
		t.Skipf("no addresses of %s: %v %s", network, err, out)
	}
}

// crowdSize is how many strangers there are: more than there are places.
const crowdSize = 600

// crowd is strangers from many networks, each of which wants more than its share: 40 IPv4 /24, and 20 IPv6
// /48 with a few /56 in each and a few /64 in each of these.
//
// Each begins a handshake, makes the server do its costliest part, and sends data that cannot be read before
// the rest, which never comes. All send the same ClientHello, which costs them nothing.
type crowd struct {
	t     *testing.T
	knock certs.Invitation
	hello []byte
	port  string

	places, refused atomic.Int64
}

func (*crowd) source(n int) (from netip.Addr, server string) {
	if n%2 == 0 {
		return netip.AddrFrom4([4]byte{127, 7, byte(n / 2 % 40), byte(1 + n/80%250)}), "127.0.0.1"
	}
	n /= 2
	text := fmt.Sprintf("2001:db8:%x:%x::%x", 1+n%20, n/20%3<<8|n/60%3, 1+n/180)
	return netip.MustParseAddr(text), "::1"
}

// run makes strangers come repeatedly until ctx ends.
func (c *crowd) run(ctx context.Context) {
	var strangers sync.WaitGroup
	for i := range crowdSize {
		strangers.Go(func() {
			wait(ctx, rand.N(time.Second))
			for n := i; ctx.Err() == nil; n += crowdSize {
				c.come(n)
				wait(ctx, time.Second)
			}
		})
	}
	strangers.Wait()
}

func wait(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// come is one stranger.
func (c *crowd) come(n int) {
	from, server := c.source(n)
	to, err := net.ResolveUDPAddr("udp", net.JoinHostPort(server, c.port))
	if err != nil {
		c.t.Error(err)
		return
	}
	plain, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		c.t.Error(err)
		return
	}
	defer plain.Close()
	socket := knockingOn(plain, c.knock)
	send := func(datagrams [][]byte) {
		for _, datagram := range datagrams {
			socket.WriteTo(datagram, to)
		}
	}
	send(newInitials().hello(c.hello))
	plain.SetReadDeadline(time.Now().Add(2 * time.Second))
	for b := make([]byte, 2048); ; {
		size, _, err := plain.ReadFrom(b)
		if err != nil || size < 7+len(ownID) {
			c.refused.Add(1)
			return
		}
		id, rest := b[7+len(ownID):][:b[6+len(ownID)]], b[7+len(ownID)+int(b[6+len(ownID)]):size]
		switch {
		case b[0]&0xf0 == 0xf0: // a Retry, which ends with 16 bytes of its own
			send(initialsTo(slices.Clone(id), slices.Clone(rest[:len(rest)-16])).hello(c.hello))
		case size < 1000: // only an Initial that says no is so small
			c.refused.Add(1)
			return
		default:
			c.places.Add(1)
			for range 40 {
				junk := append([]byte{0x41}, id...)
				plain.WriteTo(append(junk, make([]byte, 50)...), to)
			}
			return
		}
	}
}

// TestStrangersOfManyNetworks: strangers who know the server's id come from everywhere and take all places.
// All together they cost no more than allowed, and a known node comes back at once.
func TestStrangersOfManyNetworks(t *testing.T) {
	anyIP(t, "2001:db8::/32")
	server, invitation := startServer(t, "--listen", "[::]:0")
	upstream := echoService(t)
	_, public := startNode(t, invitation, upstream)
	neighbour := newNeighbour(t, public)
	home, _ := startNode(t, invite(t, server, 1), upstream)
	home.end()
	again := func() time.Duration {
		begin := time.Now()
		node := startIn(t, home.folder, "apquic-node", "--upstream", upstream)
		defer node.end()
		node.line(`tcp://(127\.0\.0\.1:\d+) -> `)
		return time.Since(begin)
	}
	alone := again()

	before := server.cost()
	stop := server.watch(before)
	_, port, err := net.SplitHostPort(invitation.Address())
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := certs.NodeTLS(newKey(t), invitation.Server)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, knock: invitation, hello: clientHello(t, tlsConfig), port: port}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.run(ctx) })
	await(t, "all places are taken", func() bool { return c.places.Load() > 250 && c.refused.Load() > crowdSize/2 })
	attacked := again()
	wait(ctx, 2*time.Second)
	peak, took := stop(), server.cost().minus(before)
	end()
	running.Wait()
	t.Logf("%d found a place, %d did not; it cost %v; %d MB at once", c.places.Load(), c.refused.Load(), took, peak>>20)
	t.Logf("a node was back after %v, before the attack after %v", attacked, alone)
	if peak > strangersMemory {
		t.Errorf("strangers cost the server %d MB, want at most %d MB", peak>>20, strangersMemory>>20)
	}
	if attacked > alone+2*time.Second {
		t.Errorf("a node was back after %v, want 2 s more than the %v without strangers", attacked, alone)
	}
	neighbour.wasServed(100*time.Millisecond, 5*time.Second)
}
