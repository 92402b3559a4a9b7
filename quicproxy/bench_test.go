package quicproxy_test

import (
	"io"
	"net"
	"runtime"
	"testing"

	"apquic/internal/testrace"
)

// BenchmarkBulk moves bytes through server and node in one process, in one direction.
func BenchmarkBulk(b *testing.B) {
	const chunk = 256 << 10
	for _, direction := range []string{"down", "up"} {
		b.Run(direction, func(b *testing.B) {
			endless := upstream(b, func(c net.Conn) {
				if direction == "up" {
					io.Copy(io.Discard, c)
					return
				}
				data := make([]byte, chunk)
				for {
					if _, err := c.Write(data); err != nil {
						return
					}
				}
			})
			c := newTunnel(b, Service{Name: "bulk", Upstream: endless}).dial("bulk")
			data := make([]byte, chunk)
			b.SetBytes(chunk)
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if direction == "up" {
					_, err = c.Write(data)
				} else {
					_, err = io.ReadFull(c, data)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			c.SetLinger(0)
			c.Close()
		})
	}
}

// BenchmarkConnect connects, exchanges 64 bytes and closes: the life of a short connection.
func BenchmarkConnect(b *testing.B) {
	tun := newTunnel(b, Service{Name: "echo", Upstream: upstream(b, echo)})
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		message := make([]byte, 64)
		for p.Next() {
			c := tun.dial("echo")
			if _, err := c.Write(message); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, message); err != nil {
				b.Fatal(err)
			}
			c.SetLinger(0) // no socket stays in TIME_WAIT
			c.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
}

// BenchmarkEcho is the latency of one relay.
func BenchmarkEcho(b *testing.B) {
	c := newTunnel(b, Service{Name: "echo", Upstream: upstream(b, echo)}).dial("echo")
	message := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(message)
		if _, err := io.ReadFull(c, message); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleRelay measures the memory that an open relay without traffic costs server and node together,
// with the Go side of the sockets of its client and its service.
func BenchmarkIdleRelay(b *testing.B) {
	tun := newTunnel(b, Service{Name: "echo", Upstream: upstream(b, echo)})
	roundTrip(b, tun.dial("echo"), 1)
	const relays = 1000
	for b.Loop() {
		before := inUse()
		conns := make([]net.Conn, relays)
		for i := range conns {
			conns[i] = tun.dial("echo")
			roundTrip(b, conns[i], 1)
		}
		b.ReportMetric((float64(inUse())-float64(before))/relays, "B/relay")
		for _, c := range conns {
			c.Close()
		}
	}
}

// inUse is the memory in use after a garbage collection.
func inUse() uint64 {
	runtime.GC()
	runtime.GC() // the first moves what pools hold, the second frees it
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestIdleRelaysHoldNoBuffers: with copy buffers an idle relay would cost 128 KiB and more.
func TestIdleRelaysHoldNoBuffers(t *testing.T) {
	relays := testrace.Whole(1000, 100) // whose memory means nothing under the race detector
	// The service keeps no buffer either: it answers one message, then waits without reading.
	over := make(chan struct{})
	tun := newTunnel(t, Service{Name: "once", Upstream: upstream(t, func(c net.Conn) {
		message := make([]byte, 64)
		io.ReadFull(c, message)
		c.Write(message)
		<-over
	})})
	t.Cleanup(func() { close(over) })
	roundTrip(t, tun.dial("once"), 1)
	before := inUse()
	for range relays {
		roundTrip(t, tun.dial("once"), 1)
	}
	each := (int64(inUse()) - int64(before)) / int64(relays)
	t.Logf("%d bytes per idle relay, with its client and its service", each)
	if each > 40<<10 && !testrace.Detector {
		t.Errorf("an idle relay costs %d bytes", each)
	}
}
