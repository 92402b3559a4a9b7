//go:build unix

package udp

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkBulk moves bytes over QUIC, both ends in this process, on plain sockets and on Conns. CPU-ns/B is
// the time of the whole process, user and system, for each byte.
func BenchmarkBulk(b *testing.B) {
	const chunk = 256 << 10
	for _, kind := range []string{"raw", "conn", "conn and last"} {
		b.Run(kind, func(b *testing.B) {
			open := func() net.PacketConn {
				if kind == "raw" {
					return newSocketOfTheSystem(b)
				}
				c := newConn(b, loopback)
				if kind != "conn" {
					c.KeepLast()
				}
				return c.PacketConn()
			}
			client, server := open(), open()
			p := connect(b, client, server, server.LocalAddr())
			from, to := stream(b, p.client, p.server)
			var writer sync.WaitGroup
			defer writer.Wait()
			defer to.CancelRead(0)
			writer.Go(func() {
				data := make([]byte, chunk)
				for {
					if _, err := from.Write(data); err != nil {
						return
					}
				}
			})
			data := make([]byte, chunk)
			for range 200 { // until the window has its size
				io.ReadFull(to, data)
			}
			b.SetBytes(chunk)
			b.ReportAllocs()
			start := processTime()
			for b.Loop() {
				if _, err := io.ReadFull(to, data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processTime()-start)/float64(b.N)/chunk, "CPU-ns/B")
		})
	}
}

// processTime is what the process has used of the processors.
func processTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
