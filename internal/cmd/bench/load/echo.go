package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// messageSize is the size of a small message: a key press in SSH, a move in a game.
const messageSize = 64

// echo measures round trips on all connections. With a pause the connections do not constantly compete for
// the CPU, as people's connections do not.
func (j Job) echo(ctx context.Context) (Result, error) {
	all, err := j.dialAll(ctx, wantEcho, noGreeting)
	if err != nil {
		return Result{}, err
	}
	defer all.close()
	begin := time.Now().Add(j.Warmup)
	end := begin.Add(j.Time)
	times := make([][]time.Duration, len(all))
	faults := make([]error, len(all))
	var talkers sync.WaitGroup
	for i, conn := range all {
		talkers.Go(func() { times[i], faults[i] = j.talk(conn, begin, end) })
	}
	talkers.Wait()
	result := summarise(slices.Concat(times...))
	result.Count = len(all)
	if err := errors.Join(faults...); err != nil {
		return result, fmt.Errorf("an echo did not come: %w", err)
	}
	return result, nil
}

// talk returns the round trip times of one connection between begin and end.
func (j Job) talk(conn *net.TCPConn, begin, end time.Time) (times []time.Duration, err error) {
	message, answer := make([]byte, messageSize), make([]byte, messageSize)
	if j.Pause > 0 {
		time.Sleep(rand.N(j.Pause)) // not all at once
	}
	for time.Now().Before(end) {
		took, err := roundTrip(conn, message, answer)
		if err != nil {
			return times, err
		}
		if time.Now().After(begin) {
			times = append(times, took)
		}
		time.Sleep(j.Pause)
	}
	return times, nil
}

func summarise(times []time.Duration) Result {
	if len(times) == 0 {
		return Result{}
	}
	slices.Sort(times)
	return Result{P50: percentile(times, 50), P99: percentile(times, 99), Worst: times[len(times)-1]}
}

// percentile is the smallest of the sorted times that p percent of them do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// connect makes as many connections as it can, Conns at a time, each for one echo.
func (j Job) connect(ctx context.Context) (Result, error) {
	var (
		counted, all, failed atomic.Int64
		workers              sync.WaitGroup
		fault                atomic.Value
		begin                = time.Now().Add(j.Warmup)
		end                  = begin.Add(j.Time)
	)
	for range j.Conns {
		workers.Go(func() {
			for now := time.Now(); now.Before(end); now = time.Now() {
				if err := j.once(ctx); err != nil {
					fault.Store(err.Error())
					failed.Add(1)
					continue
				}
				all.Add(1)
				if now = time.Now(); now.After(begin) && now.Before(end) {
					counted.Add(1)
				}
			}
		})
	}
	workers.Wait()
	result := Result{Rate: float64(counted.Load()) / j.Time.Seconds(), Count: int(all.Load()), Lost: int(failed.Load())}
	if result.Lost > 0 {
		return result, fmt.Errorf("%d of %d connections failed, the last one with: %v", result.Lost, result.Lost+result.Count, fault.Load())
	}
	return result, nil
}

// onceTimeout bounds the life of a connection that lives for one echo.
const onceTimeout = 5 * time.Second

func (j Job) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, onceTimeout)
	defer cancel()
	conn, err := j.dial(ctx, wantEcho)
	if err != nil {
		return err
	}
	defer conn.Close()
	message := make([]byte, messageSize)
	_, err = roundTrip(conn, message, message)
	return err
}

// probe tries until an echo comes back, as the job's other kind of load would send it.
func (j Job) probe(ctx context.Context) error {
	for {
		err := j.probeOnce(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("no echo comes back: %w", err)
		}
	}
}

func (j Job) probeOnce(ctx context.Context) error {
	switch {
	case j.Host != "":
		j.Once = true
		return j.browse(ctx, time.Now().Add(onceTimeout), func(time.Time) {})
	case j.Size > 0:
		now := time.Now()
		result, err := j.pingPong(ctx, now, now.Add(datagramTimeout))
		if err == nil && result.Count == 0 {
			err = errors.New("no datagram came back")
		}
		return err
	}
	return j.once(ctx)
}

// halfClose reports whether a client that has ended its request gets the whole answer.
func (j Job) halfClose(ctx context.Context) (whole bool, err error) {
	conn, err := j.dial(ctx, wantAnswer)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.CloseWrite(); err != nil {
		return false, err
	}
	n, err := io.Copy(io.Discard, conn)
	return n == answerSize && err == nil, nil
}
