//go:build unix

package segments

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkKeep is what keeping costs, in CPU with the collector's, and the memory that it takes for each byte: reads of so
// many bytes into buffers of 64 KiB, of which 1 MiB is kept until the other side has it.
func BenchmarkKeep(b *testing.B) {
	pool := sync.Pool{New: func() any { return new([Size]byte) }}
	for _, n := range []int{200, 1400, 8 << 10, 20 << 10, 36 << 10, 48 << 10, Size} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := NewOutgoing[string](func(buffer []byte) { pool.Put((*[Size]byte)(buffer[:Size])) })
			memory, most := 0, 0
			o.Count(func(more int) { memory += more; most = max(most, memory) })
			begin, sent, received := cpuTime(), 0, 0
			for b.Loop() {
				buffer := pool.Get().(*[Size]byte)
				_, taken, _, err := o.KeepBuffer(buffer[:n], time.Time{})
				if err != nil {
					b.Fatal(err)
				}
				if !taken {
					pool.Put(buffer)
				}
				o.Sent()
				if sent += n; sent-received > 1<<20 {
					received += 256 << 10
					o.Received(uint64(received), time.Time{})
				}
			}
			b.ReportMetric(float64(cpuTime()-begin)/float64(sent), "cpu-ns/B")
			b.ReportMetric(float64(most)/float64(min(sent, 1<<20)), "memory/B")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpuTime is in nanoseconds.
func cpuTime() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}
