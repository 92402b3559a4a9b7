package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// bulk moves bytes on all connections and measures what arrives between the warm-up and the end. The service
// itself reports what it received, because what the client wrote may still be in flight.
func (j Job) bulk(ctx context.Context) (Result, error) {
	want, move := byte(wantDown), down
	if j.Kind == Up {
		want, move = wantUp, up
	}
	all, err := j.dialAll(ctx, want, noGreeting)
	if err != nil {
		return Result{}, err
	}
	arrived := make([]atomic.Int64, len(all))
	var movers sync.WaitGroup
	for i, conn := range all {
		movers.Go(func() { move(conn, &arrived[i]) })
	}
	time.Sleep(j.Warmup)
	begin, before := time.Now(), counted(arrived)
	time.Sleep(j.Time)
	after := counted(arrived)
	took := time.Since(begin)
	all.close()
	movers.Wait()
	result := Result{Count: len(all), Least: math.MaxFloat64}
	for i, n := range counted(arrived) {
		rate := float64(after[i]-before[i]) / took.Seconds()
		result.Bytes += n
		result.Rate += rate
		result.Least = min(result.Least, rate)
	}
	if result.Rate == 0 {
		return result, errors.New("not a byte arrived")
	}
	return result, nil
}

func counted(arrived []atomic.Int64) []int64 {
	counts := make([]int64, len(arrived))
	for i := range arrived {
		counts[i] = arrived[i].Load()
	}
	return counts
}

func down(conn *net.TCPConn, arrived *atomic.Int64) {
	for buffer := make([]byte, chunk); ; {
		n, err := conn.Read(buffer)
		arrived.Add(int64(n))
		if err != nil {
			return
		}
	}
}

func up(conn *net.TCPConn, arrived *atomic.Int64) {
	var counts sync.WaitGroup
	counts.Go(func() {
		for total := make([]byte, 8); ; {
			if _, err := io.ReadFull(conn, total); err != nil {
				return
			}
			arrived.Store(int64(binary.BigEndian.Uint64(total)))
		}
	})
	for data := make([]byte, chunk); ; {
		if _, err := conn.Write(data); err != nil {
			break
		}
	}
	conn.Close()
	counts.Wait()
}
