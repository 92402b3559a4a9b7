package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
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
	sum := func() (total int64) {
		for i := range arrived {
			total += arrived[i].Load()
		}
		return total
	}
	time.Sleep(j.Warmup)
	begin, before := time.Now(), sum()
	time.Sleep(j.Time)
	after := sum()
	took := time.Since(begin)
	all.close()
	movers.Wait()
	result := Result{Rate: float64(after-before) / took.Seconds(), Bytes: sum(), Count: len(all)}
	if after == before {
		return result, errors.New("not a byte arrived")
	}
	return result, nil
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
