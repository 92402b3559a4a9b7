//go:build linux

package hostile

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Thousands of connections per second from one address, and from ever new addresses of an IPv6 /48, get no further than
// the rate that the operator allows: nothing of them reaches the node, and a neighbour with other addresses is served.
func TestVisitorsAboveTheirRate(t *testing.T) {
	anyIP(t, "2001:db8::/32")
	const rate = 20
	server, invitation := startServer(t, "--max-client-rate", fmt.Sprint(rate))
	var flood atomic.Int64
	upstream := service(t, func(c net.Conn) {
		first := make([]byte, 1)
		if n, _ := c.Read(first); n == 1 && first[0] == 'x' {
			flood.Add(1)
			return
		}
		c.Write(first)
		io.Copy(c, c)
	})
	node, public := startNode(t, invitation, upstream)
	neighbour := newNeighbour(t, public)
	_, port, _ := net.SplitHostPort(public)
	for name, test := range map[string]struct {
		source func(i int) net.IP
		to     string
		times  int // as much as one address
	}{
		"an address": {func(int) net.IP { return net.IPv4(127, 9, 9, 9) }, public, 1},
		"a /48":      {func(i int) net.IP { return net.ParseIP(fmt.Sprintf("2001:db8:7:%x::1", i%65536)) }, net.JoinHostPort("::1", port), 4},
	} {
		before, begin, let := [2]cost{server.cost(), node.cost()}, time.Now(), flood.Load()
		const clients = 5000
		for i := range clients {
			dialer := net.Dialer{Timeout: maxWait, LocalAddr: &net.TCPAddr{IP: test.source(i)}}
			c, err := dialer.Dial("tcp", test.to)
			if err != nil {
				continue // it was reset already
			}
			c.Write([]byte("x"))
			c.Close()
		}
		took := time.Since(begin)
		time.Sleep(time.Second)
		n, most := int(flood.Load()-let), test.times*rate*int(2+took.Seconds()+1)
		t.Logf("%s: %d of %d clients within %v were let in, of %d at most", name, n, clients, took, most)
		if n > most || n == 0 {
			t.Errorf("%s: %d of %d clients within %v were let in, want %d at most", name, n, clients, took, most)
		}
		for i, p := range []*program{server, node} {
			used := p.cost().minus(before[i])
			t.Logf("%s: %v", p.cmd.Args[0], used)
			if used.memory > 32<<20 || used.log > 8<<10 {
				t.Errorf("%s cost %s %v", name, p.cmd.Args[0], used)
			}
		}
	}
	neighbour.wasServed(50*time.Millisecond, 5*time.Second)
}
