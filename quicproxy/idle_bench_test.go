package quicproxy_test

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/testrace"
)

// datagramOverhead is what the headers of IPv4 and UDP add to a datagram.
const datagramOverhead = 20 + 8

// meter is a socket that counts what is sent.
type meter struct {
	net.PacketConn
	datagrams, bytes *atomic.Int64
}

func (m meter) WriteTo(b []byte, to net.Addr) (int, error) {
	m.datagrams.Add(1)
	m.bytes.Add(int64(len(b) + datagramOverhead))
	return m.PacketConn.WriteTo(b, to)
}

// BenchmarkIdleTraffic is what a node without clients costs in a day, both directions together, with the
// headers of IP and UDP. The days are virtual. The last one includes what is sent to learn the interval.
func BenchmarkIdleTraffic(b *testing.B) {
	for _, keepalive := range []time.Duration{15 * time.Second, time.Minute, 285 * time.Second, AutoKeepalive} {
		b.Run(keepaliveName(keepalive), func(b *testing.B) {
			var datagrams, bytes int64
			for b.Loop() {
				// A bubble is only for tests, so one is run here.
				testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{
					Name: b.Name(), F: func(t *testing.T) { datagrams, bytes = idleTraffic(t, keepalive, 24*time.Hour) },
				}})
			}
			b.ReportMetric(float64(datagrams), "datagrams/day")
			b.ReportMetric(float64(bytes), "B/day")
		})
	}
}

func keepaliveName(keepalive time.Duration) string {
	if keepalive == AutoKeepalive {
		return "auto"
	}
	return keepalive.String()
}

// idleTraffic is the traffic of a node without clients for that long, without connecting.
func idleTraffic(t *testing.T, keepalive, during time.Duration) (datagrams, bytes int64) {
	var sentDatagrams, sentBytes atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		count := func(socket net.PacketConn) net.PacketConn { return meter{socket, &sentDatagrams, &sentBytes} }
		w.startServer(patient, func(c *ServerConfig) { c.PacketConn = count(c.PacketConn) })
		w.startNode(expose("web", web), auto, func(c *NodeConfig) {
			c.Keepalive = keepalive
			c.ListenPacket = func() (net.PacketConn, error) {
				socket, err := w.home.ListenUDP(0)
				return count(socket), err
			}
		}).leases.wait(t, 1)
		time.Sleep(5 * time.Second)
		beforeDatagrams, beforeBytes := sentDatagrams.Load(), sentBytes.Load()
		time.Sleep(during)
		datagrams, bytes = sentDatagrams.Load()-beforeDatagrams, sentBytes.Load()-beforeBytes
	})
	return datagrams, bytes
}

// TestIdleTraffic: the figures of docs/decisions/0025 stay what they are.
func TestIdleTraffic(t *testing.T) {
	day := testrace.Whole(24*time.Hour, 4*time.Hour)
	for keepalive, most := range map[time.Duration]int64{285 * time.Second: 150_000, AutoKeepalive: 180_000} {
		t.Run(keepaliveName(keepalive), func(t *testing.T) {
			t.Parallel()
			datagrams, bytes := idleTraffic(t, keepalive, day)
			t.Logf("%d datagrams, %d bytes", datagrams, bytes)
			if bytes > most {
				t.Errorf("%d bytes a day, want %d at most", bytes, most)
			}
		})
	}
}
