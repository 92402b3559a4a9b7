package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// newEvery is how often a new connection is tried while connections are watched.
const newEvery = 250 * time.Millisecond

// watch sends messages on all connections, one every Pause whether the last one is back or not, and finds the
// slowest one, the connections that broke, and how long new connections got no answer. A message that is not
// back at the end counts as a broken connection.
func (j Job) watch(ctx context.Context) (Result, error) {
	all, err := j.dialAll(ctx, wantEcho, noGreeting)
	if err != nil {
		return Result{}, err
	}
	defer all.close()
	var watchers sync.WaitGroup
	defer watchers.Wait()
	outage := make(chan time.Duration, 1)
	watchers.Go(func() { outage <- j.longestOutage(ctx) })
	worst := make([]time.Duration, len(all))
	broken := make([]bool, len(all))
	var conversations sync.WaitGroup
	for i, conn := range all {
		conversations.Go(func() { worst[i], broken[i] = j.watchOne(conn) })
	}
	conversations.Wait()
	result := Result{Count: len(all), Outage: <-outage}
	for i := range all {
		if broken[i] {
			result.Lost++
		} else {
			result.Worst = max(result.Worst, worst[i])
		}
	}
	return result, nil
}

// grace is how long the last messages may take.
const grace = 2 * time.Second

// watchOne returns the longest round trip of a connection's messages.
func (j Job) watchOne(conn *net.TCPConn) (worst time.Duration, broken bool) {
	begin := time.Now()
	conn.SetDeadline(begin.Add(j.Time + grace))
	sent := make(chan int, 1)
	go func() { sent <- j.sendTimes(conn, begin) }()
	message := make([]byte, messageSize)
	for got := 0; ; got++ {
		if _, err := io.ReadFull(conn, message); err != nil {
			conn.Close() // the sender then ends, too
			return worst, got != <-sent || !errors.Is(err, os.ErrDeadlineExceeded)
		}
		worst = max(worst, time.Since(begin)-time.Duration(binary.BigEndian.Uint64(message)))
	}
}

// sendTimes sends messages with their time of sending and returns how many. It does not end its direction,
// because not every tunnel would then let the last answers through.
func (j Job) sendTimes(conn *net.TCPConn, begin time.Time) (n int) {
	message := make([]byte, messageSize)
	for now := time.Since(begin); now < j.Time; now = time.Since(begin) {
		binary.BigEndian.PutUint64(message, uint64(now))
		if _, err := conn.Write(message); err != nil {
			return n
		}
		n++
		time.Sleep(j.Pause)
	}
	return n
}

// longestOutage tries new connections during the whole watch, and returns the longest time between two
// answers beyond the pause between two tries.
func (j Job) longestOutage(ctx context.Context) (longest time.Duration) {
	var (
		mu      sync.Mutex
		tries   sync.WaitGroup
		begin   = time.Now()
		end     = begin.Add(j.Time)
		success = begin
	)
	for time.Now().Before(end) {
		tries.Go(func() {
			attempt, cancel := context.WithDeadline(ctx, end)
			defer cancel()
			if j.once(attempt) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, time.Since(success)-newEvery)
			success = time.Now()
		})
		time.Sleep(newEvery)
	}
	tries.Wait()
	return max(longest, end.Sub(success)-newEvery)
}
