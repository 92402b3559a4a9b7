package quicproxy_test

import (
	"net"
	"testing"
	"time"

	"apquic/internal/testnet"
	"apquic/lease"
	"apquic/quicproxy"
)

// visitUDPFrom is a visitor at a host of its own.
func visitUDPFrom(t *testing.T, host *testnet.Host) *udpClient {
	t.Helper()
	c, err := dialUDP(host, net.JoinHostPort(serverIP, "20000"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &udpClient{t, c}
}

func udpWithRules(rules quicproxy.Visitors) func(*NodeConfig) {
	return func(c *NodeConfig) {
		c.Services = append(c.Services, Service{Name: "game", Upstream: "udp://" + upstreamUDP, Visitors: rules})
	}
}

func refusedOf(r *running) quicproxy.Refused {
	return r.server.Status().Traffic[lease.Endpoint{Port: 20000}].Refused
}

// TestVisitorsOverUDP: the rules hold for flows, also for one that began before they were known or were changed.
func TestVisitorsOverUDP(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveUDP(upstreamUDP)
		server := w.startServer()
		friend, foe := visitUDPFrom(t, w.net.Host("192.0.2.7")), visitUDPFrom(t, w.net.Host("192.0.2.66"))
		r := w.startNode(udpWithRules(quicproxy.Visitors{}))
		r.leases.wait(t, 1)
		friend.ask("one")
		foe.ask("two")
		r.stop()
		other := visitUDPFrom(t, w.net.Host("192.0.2.67"))
		if answer, err := other.try("nobody is there", time.Second); err == nil {
			t.Fatalf("an answer: %s", answer)
		}
		r = w.startNode(udpWithRules(quicproxy.Visitors{Deny: prefixes("192.0.2.64/26"), Rate: 1}))
		r.leases.wait(t, 1)
		friend.ask("three")
		for _, c := range []*udpClient{foe, other, visitUDPFrom(t, w.net.Host("192.0.2.68"))} {
			if answer, err := c.try("four", time.Second); err == nil {
				t.Errorf("a visitor who is denied got an answer: %s", answer)
			}
		}
		if got := refusedOf(server); got.Networks != 3 || got.Rate != 0 {
			t.Errorf("refused: %+v", got)
		}
		host, answers := w.net.Host("198.51.100.8"), 0
		for range 10 {
			if _, err := visitUDPFrom(t, host).try("a flow", 100*time.Millisecond); err == nil {
				answers++
			}
		}
		if got := refusedOf(server); answers != 2 && answers != 3 || got.Rate != uint64(10-answers) {
			t.Errorf("%d flows in a second, refused: %+v", answers, got)
		}
	})
}

// TestBandwidthOverUDP: what is more than the bytes per second is dropped and counted, in each direction, and a client
// who sends little loses nothing.
func TestBandwidthOverUDP(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const seconds, size = 20, 1000
		w.serveUDP(upstreamUDP)
		server := w.startServer()
		w.startNode(udpWithRules(quicproxy.Visitors{BytesIn: 50_000, BytesOut: 20_000})).leases.wait(t, 1)
		greedy, modest := visitUDPFrom(t, w.net.Host("192.0.2.7")), visitUDPFrom(t, w.net.Host("198.51.100.8"))
		greedy.ask("a")
		modest.ask("b")
		answered := 0
		for i := range seconds * 100 {
			greedy.Write(make([]byte, size)) // twice the limit
			if i%100 == 50 {
				if _, err := modest.try("c", time.Millisecond); err == nil {
					t.Error("faster than the network")
				}
				modest.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := modest.Read(make([]byte, 100)); err == nil {
					answered++
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		traffic := server.server.Status().Traffic[lease.Endpoint{Port: 20000}]
		wantAbout(t, "to the node", int(traffic.ToNode), seconds*50_000, seconds*50_000/10)
		wantAbout(t, "from the node", int(traffic.FromNode), seconds*20_000, seconds*20_000/10)
		if traffic.Refused.Datagrams == 0 {
			t.Errorf("dropped: %+v", traffic.Refused)
		}
		if answered < seconds*9/10 {
			t.Errorf("%d of %d got an answer", answered, seconds)
		}
	})
}
