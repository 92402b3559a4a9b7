package keepalive

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLearner: a bounded number is remembered, and no failure of the store ends anything.
func TestLearner(t *testing.T) {
	t.Parallel()
	now, store, logged := time.Now(), new(memory), new(bytes.Buffer)
	log := slog.New(slog.NewTextHandler(logged, nil))
	l := NewLearner(store, log)
	prove := func(network string, proven time.Duration) {
		l.update(network, func(b NATBinding) NATBinding { return b.tried(now, proven, true) })
		l.save()
	}
	for i := range maxBindings + 5 {
		prove(fmt.Sprint(i), time.Duration(i+1))
	}
	prove("5", 1)
	if len(store.bindings) != maxBindings || store.bindings[0].Network != "6" || l.get("5").Proven != 1 || l.get("4") != (NATBinding{Network: "4"}) {
		t.Errorf("remembered are %+v", store.bindings)
	}
	again := NewLearner(store, log)
	again.Load()
	if !slices.Equal(again.bindings, l.bindings) {
		t.Errorf("loaded %+v", again.bindings)
	}
	saves := store.saves
	again.distrust("5")
	again.distrust("none")
	again.save()
	if !again.get("5").Found.IsZero() || store.saves != saves {
		t.Errorf("distrusted is %+v, saved %d times", again.get("5"), store.saves-saves)
	}
	store.bindings = make([]NATBinding, maxBindings+1)
	if again.Load(); len(again.bindings) != maxBindings {
		t.Errorf("%d bindings are loaded", len(again.bindings))
	}
	store.err = errors.New("no such disk")
	prove("new", 1)
	broken := NewLearner(store, log)
	broken.Load()
	if l.get("new").Proven != 1 || len(broken.bindings) != 0 || strings.Count(logged.String(), "no such disk") != 2 {
		t.Errorf("after failures: %v", logged)
	}
	none := NewLearner(nil, log)
	none.Load()
	none.lost(now, "here")
	if none.save(); none.get("here").Losses != 1 {
		t.Error("without a store nothing is remembered")
	}
}

// TestSlowStore: nobody who asks for an interval waits for the disk, and what is newer is written later.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	store := &slow{writing: make(chan int), goOn: make(chan struct{})}
	l := NewLearner(store, slog.New(slog.DiscardHandler))
	now := time.Now()
	s := l.Schedule(now, NewPath("192.0.2.1:1", inside, 0), longIdle, longIdle)
	var saving sync.WaitGroup
	saving.Go(func() { s.Result(now, Try{Idle: 30 * time.Second, network: s.path.network}, true) })
	if n := <-store.writing; n != 1 {
		t.Fatalf("%d bindings are written", n)
	}
	if got := s.Interval(); got != 25*time.Second {
		t.Errorf("meanwhile the interval is %v", got)
	}
	l.update(s.path.network, func(b NATBinding) NATBinding { return b.tried(now, time.Minute, true) })
	saving.Go(l.save)
	store.goOn <- struct{}{}
	<-store.writing
	store.goOn <- struct{}{}
	saving.Wait()
	if store.last[0].Proven != time.Minute {
		t.Errorf("written last was %+v", store.last)
	}
}

// slow is a Store that writes when a test lets it.
type slow struct {
	writing chan int
	goOn    chan struct{}
	last    []NATBinding
}

func (s *slow) Load() ([]NATBinding, error) { return nil, nil }

func (s *slow) Save(bindings []NATBinding) error {
	s.writing <- len(bindings)
	<-s.goOn
	s.last = bindings
	return nil
}
