//go:build linux

package netns

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// pair is two machines connected by a link.
type pair struct {
	t     testing.TB
	link  *link
	left  *namespace
	right *namespace
}

const leftIP, rightIP = "10.0.0.1", "10.0.0.2"

func newPair(t testing.TB) *pair {
	t.Helper()
	skipUnlessEnabled(t)
	id := networks.Add(1)
	p := &pair{t: t, left: newNamespace(t, id, "left"), right: newNamespace(t, id, "right")}
	p.link = newLink(t, p.left, "wan", p.right, "wan")
	p.left.ip("addr add " + leftIP + " peer " + rightIP + " dev wan")
	p.right.ip("addr add " + rightIP + " peer " + leftIP + " dev wan")
	return p
}

// sockets opens a UDP socket on each side, connected with each other.
func (p *pair) sockets() (left, right *net.UDPConn) {
	p.t.Helper()
	open := func(at *namespace, own, other string) (c *net.UDPConn) {
		err := at.do(func() (err error) {
			c, err = net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(own), Port: 9}, &net.UDPAddr{IP: net.ParseIP(other), Port: 9})
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { c.Close() })
		return c
	}
	return open(p.left, leftIP, rightIP), open(p.right, rightIP, leftIP)
}

// exchange sends packets of a size one after the other, which the right side echoes, and returns the round
// trip times of those that came back. Each has its time of sending.
func (p *pair) exchange(packets, size int, pause time.Duration) (times []time.Duration) {
	p.t.Helper()
	left, right := p.sockets()
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, err := right.Read(buffer)
			if err != nil {
				return
			}
			right.Write(buffer[:n])
		}
	}()
	begin := time.Now()
	received := make(chan []time.Duration)
	go func() {
		var times []time.Duration
		buffer := make([]byte, 2048)
		for {
			if _, err := left.Read(buffer); err != nil {
				received <- times
				return
			}
			times = append(times, time.Since(begin)-time.Duration(binary.BigEndian.Uint64(buffer)))
		}
	}()
	packet := make([]byte, size)
	for range packets {
		binary.BigEndian.PutUint64(packet, uint64(time.Since(begin)))
		left.Write(packet)
		time.Sleep(pause)
	}
	time.Sleep(300 * time.Millisecond)
	left.Close()
	times = <-received
	right.Close()
	return times
}

func TestLinkDelays(t *testing.T) {
	p := newPair(t)
	p.link.set("delay=25ms")
	times := p.exchange(200, 100, 5*time.Millisecond)
	if len(times) != 200 {
		t.Fatalf("%d of 200 packets came back", len(times))
	}
	slices.Sort(times)
	t.Logf("round trip with a delay of 25ms: median %v, 95%% below %v, longest %v", times[100], times[190], times[199])
	// On a busy machine some are late because of the machine, but not most of the quicker ones.
	if times[0] < 50*time.Millisecond || times[50] > 51*time.Millisecond {
		t.Errorf("a round trip takes %v to %v, a quarter below %v, not 50ms", times[0], times[199], times[50])
	}
}

func TestLinkLosesAndCuts(t *testing.T) {
	p := newPair(t)
	for _, test := range []struct {
		link     string
		size     int
		min, max int // of 1000 packets
	}{
		{"loss=0.1", 100, 760, 860}, // there and back
		{"loss=0 mtu=1400", 1372, 1000, 1000},
		{"mtu=1400", 1373, 0, 0},
		{"mtu=1500 down", 100, 0, 0},
		{"up", 100, 1000, 1000},
	} {
		p.link.set(test.link)
		if came := len(p.exchange(1000, test.size, 100*time.Microsecond)); came < test.min || came > test.max {
			t.Errorf("%s: %d of 1000 packets of %d bytes came back, not %d to %d", test.link, came, test.size, test.min, test.max)
		}
	}
}

// A burst drains at the rate of the link, and packets that do not fit the queue are dropped.
func TestLinkRate(t *testing.T) {
	p := newPair(t)
	const packets, size = 100, 1250 - 28 // a millisecond each, with their headers
	p.link.set("rate=10mbit queue=256k")
	times := p.exchange(packets, size, 0)
	if len(times) != packets {
		t.Fatalf("%d of %d packets came back", len(times), packets)
	}
	t.Logf("a burst of 100ms came back within %v", slices.Max(times))
	if longest := slices.Max(times); longest < 75*time.Millisecond || longest > 500*time.Millisecond {
		t.Errorf("a burst of 100ms came back within %v", longest)
	}
	p.link.set("queue=25k")
	if came := len(p.exchange(packets, size, 0)); came < 20 || came > 60 {
		t.Errorf("%d packets passed a queue of 20", came)
	}
}

// transfer sends bytes over TCP as fast as the link allows and returns how long that took.
func (p *pair) transfer(bytes int64) time.Duration {
	p.t.Helper()
	var listener net.Listener
	if err := p.right.do(func() (err error) { listener, err = net.Listen("tcp", rightIP+":0"); return err }); err != nil {
		p.t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			io.Copy(c, io.LimitReader(endless{}, bytes))
			c.Close()
		}
	}()
	var c net.Conn
	if err := p.left.do(func() (err error) { c, err = net.Dial("tcp", listener.Addr().String()); return err }); err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	begin := time.Now()
	if n, err := io.Copy(io.Discard, c); n != bytes {
		p.t.Fatalf("%d bytes arrived of %d: %v", n, bytes, err)
	}
	return time.Since(begin)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// BenchmarkLink measures what a link without limits carries.
func BenchmarkLink(b *testing.B) {
	p := newPair(b)
	const bytes = 64 << 20
	b.SetBytes(bytes)
	for b.Loop() {
		p.transfer(bytes)
	}
}
