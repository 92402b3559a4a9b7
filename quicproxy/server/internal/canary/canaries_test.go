package canary

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
	"apquic/lease"
)

// fakeService is one whose answer a test decides.
type fakeService struct {
	ask   func(context.Context) error
	every atomic.Int64 // time.Duration
}

func (s *fakeService) Next() (func(context.Context) error, time.Duration) {
	return s.ask, time.Duration(s.every.Load())
}

// add has a service asked so often.
func add(all *Canaries, key lease.Key, every time.Duration, ask func(context.Context) error) *fakeService {
	service := &fakeService{ask: ask}
	service.every.Store(int64(every))
	all.Add(service, key)
	return service
}

func start(t *testing.T, log *slog.Logger) *Canaries {
	all := New(log)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { all.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return all
}

func keyOf(node, service int) lease.Key {
	return lease.Key{Node: certs.NodeID{1, byte(node), byte(node >> 8)}, Service: "s" + strings.Repeat("x", service)}
}

// TestCanariesSpread: 5000 services are not asked within a second, but each is, about as often as it wants.
func TestCanariesSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := start(t, slog.New(slog.DiscardHandler))
		perSecond := make(map[int64]int)
		counts := make([]int, 5000)
		var mu sync.Mutex
		for i := range counts {
			add(all, keyOf(i, 1), 5*time.Minute, func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				counts[i]++
				perSecond[time.Now().Unix()]++
				return nil
			})
		}
		time.Sleep(30 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for second, n := range perSecond {
			if n > perLook {
				t.Fatalf("%d were asked in second %d", n, second)
			}
		}
		for i, n := range counts {
			if n < 5 || n > 8 {
				t.Fatalf("service %d was asked %d times in 30 minutes", i, n)
			}
		}
	})
}

// TestCanariesOfOneNode: a node that does not answer is asked one thing at a time, and keeps nobody waiting.
func TestCanariesOfOneNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := start(t, slog.New(slog.DiscardHandler))
		var waiting, most atomic.Int64
		for i := range 50 {
			add(all, keyOf(1, i), Least, func(ctx context.Context) error {
				if n := waiting.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-ctx.Done()
				waiting.Add(-1)
				return ctx.Err()
			})
		}
		var asked atomic.Int64
		add(all, keyOf(2, 1), Least, func(context.Context) error { asked.Add(1); return nil })
		time.Sleep(10 * time.Minute)
		if most.Load() != 1 {
			t.Errorf("%d questions to one node at once", most.Load())
		}
		if n := asked.Load(); n < 45 {
			t.Errorf("the other node was asked %d times in 10 minutes", n)
		}
		failing := 0
		for _, got := range all.Status() {
			if got.Failures > 0 && got.Failing != "" {
				failing++
			}
		}
		if failing < 30 { // 15 s each
			t.Errorf("%d services are known to fail", failing)
		}
	})
}

// TestCanariesLog: two failures in a row are told once, and their end once; a single one is not.
func TestCanariesLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lines := new(strings.Builder)
		all := start(t, slog.New(slog.NewTextHandler(lines, nil)))
		answers := []error{nil, errors.New("once"), nil, errors.New("first"), errors.New("second"), errors.New("third"), nil, nil}
		n := 0
		service := add(all, keyOf(1, 1), time.Minute, func(context.Context) error {
			defer func() { n++ }()
			if n < len(answers) {
				return answers[n]
			}
			return nil
		})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if text := lines.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "err=second") || strings.Contains(text, "once") || !strings.Contains(text, "answers its canary again") {
			t.Errorf("logged:\n%s", text)
		}
		service.every.Store(0)
		time.Sleep(2 * time.Second)
		if len(all.Status()) != 0 {
			t.Error("a service that has ended is still there")
		}
	})
}

// TestCanariesChange: another interval counts at once, also if the one before was a day.
func TestCanariesChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := start(t, slog.New(slog.DiscardHandler))
		var asked atomic.Int64
		service := add(all, keyOf(1, 1), Most, func(context.Context) error { asked.Add(1); return nil })
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked.Load() != 1 {
			t.Fatalf("asked %d times", asked.Load())
		}
		service.every.Store(int64(Least))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := asked.Load(); n < 5 || n > 8 {
			t.Errorf("asked %d times a minute after that", n-1)
		}
		service.every.Store(int64(Most))
		time.Sleep(2 * Least)
		before := asked.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := asked.Load(); n != before {
			t.Errorf("asked %d times although once a day is enough", n-before)
		}
	})
}

// TestCanariesRetry: a service that fails is asked again soon, and then ever less often, so that it is known within
// about twice the time that it failed that it works again.
func TestCanariesRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := start(t, slog.New(slog.DiscardHandler))
		var works atomic.Bool
		var asked atomic.Int64
		add(all, keyOf(1, 1), Most, func(context.Context) error {
			if asked.Add(1); works.Load() {
				return nil
			}
			return errors.New("not now")
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := asked.Load(); n < 5 || n > 8 {
			t.Errorf("asked %d times in 10 minutes", n)
		}
		works.Store(true)
		time.Sleep(10 * time.Minute)
		if got := all.Status()[keyOf(1, 1)]; got.Failing != "" || got.Proofs != 1 {
			t.Errorf("10 minutes after it works again: %+v", got)
		}
	})
}

// TestCanariesGone: the end of a connection says nothing of a service, which is asked again soon.
func TestCanariesGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := start(t, slog.New(slog.DiscardHandler))
		var asked atomic.Int64
		add(all, keyOf(1, 1), time.Hour, func(context.Context) error {
			if asked.Add(1) == 1 {
				return ErrGone
			}
			return nil
		})
		time.Sleep(3 * retry)
		synctest.Wait()
		if got := all.Status()[keyOf(1, 1)]; asked.Load() != 2 || got.Failures != 0 || got.Proofs != 1 {
			t.Errorf("asked %d times: %+v", asked.Load(), got)
		}
	})
}
