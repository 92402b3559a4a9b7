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
	ask            func(context.Context) error
	nowhere, ended atomic.Bool
}

func (s *fakeService) Next() (func(context.Context) error, bool) {
	if s.nowhere.Load() {
		return nil, !s.ended.Load()
	}
	return s.ask, !s.ended.Load()
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
			all.Set(&fakeService{ask: func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				counts[i]++
				perSecond[time.Now().Unix()]++
				return nil
			}}, keyOf(i, 1), 5*time.Minute)
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
			all.Set(&fakeService{ask: func(ctx context.Context) error {
				if n := waiting.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-ctx.Done()
				waiting.Add(-1)
				return ctx.Err()
			}}, keyOf(1, i), Least)
		}
		var asked atomic.Int64
		all.Set(&fakeService{ask: func(context.Context) error { asked.Add(1); return nil }}, keyOf(2, 1), Least)
		time.Sleep(10 * time.Minute)
		if most.Load() != 1 {
			t.Errorf("%d questions to one node at once", most.Load())
		}
		if n := asked.Load(); n < 45 {
			t.Errorf("the other node was asked %d times in 10 minutes", n)
		}
		if got := all.Status()[keyOf(1, 1)]; got.Failures == 0 || got.Failing == "" {
			t.Errorf("%+v", got)
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
		service := &fakeService{ask: func(context.Context) error {
			defer func() { n++ }()
			if n < len(answers) {
				return answers[n]
			}
			return nil
		}}
		all.Set(service, keyOf(1, 1), time.Minute)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if text := lines.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "err=second") || strings.Contains(text, "once") || !strings.Contains(text, "answers its canary again") {
			t.Errorf("logged:\n%s", text)
		}
		service.ended.Store(true)
		time.Sleep(2 * time.Second)
		if len(all.Status()) != 0 {
			t.Error("a service that has ended is still there")
		}
	})
}

// TestCanariesOfGroup: a member that wants none does not decide for the group; a service of one node ends them.
func TestCanariesOfGroup(t *testing.T) {
	t.Parallel()
	all := New(slog.New(slog.DiscardHandler))
	group, own := new(fakeService), new(fakeService)
	all.Set(group, lease.Key{Service: "photos"}, time.Minute)
	all.Set(group, lease.Key{Service: "photos"}, 0)
	all.Set(own, keyOf(1, 1), time.Minute)
	all.Set(own, keyOf(1, 1), 0)
	if status := all.Status(); len(status) != 1 || status[lease.Key{Service: "photos"}].Every != time.Minute {
		t.Errorf("%+v", status)
	}
}
