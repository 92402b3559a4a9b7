package cli

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestSignals(t *testing.T) {
	t.Parallel()
	type event struct {
		after  time.Duration
		signal os.Signal
	}
	for name, test := range map[string]struct {
		onTerminal bool
		events     []event
		want       []string
	}{
		"one":                         {false, []event{{0, syscall.SIGTERM}}, []string{"soon"}},
		"twice at once":               {false, []event{{0, syscall.SIGTERM}, {time.Millisecond, syscall.SIGTERM}}, []string{"soon"}},
		"a terminal and its program":  {true, []event{{0, os.Interrupt}, {200 * time.Millisecond, syscall.SIGTERM}}, []string{"soon"}},
		"a second one":                {true, []event{{0, os.Interrupt}, {time.Second, os.Interrupt}}, []string{"soon", "now"}},
		"a third one":                 {true, []event{{0, os.Interrupt}, {time.Second, os.Interrupt}, {2 * time.Second, os.Interrupt}}, []string{"soon", "now"}},
		"twice at once, then another": {false, []event{{0, syscall.SIGTERM}, {0, syscall.SIGTERM}, {time.Second, syscall.SIGTERM}}, []string{"soon", "now"}},
		"a closed terminal":           {true, []event{{0, syscall.SIGHUP}}, []string{"soon"}},
		"reload":                      {false, []event{{0, syscall.SIGHUP}, {time.Second, syscall.SIGHUP}}, []string{"reload", "reload"}},
		"reload, then stop":           {false, []event{{0, syscall.SIGHUP}, {0, syscall.SIGTERM}}, []string{"reload", "soon"}},
		"reload while stopping":       {false, []event{{0, syscall.SIGTERM}, {time.Second, syscall.SIGHUP}}, []string{"soon", "reload"}},
	} {
		var got []string
		note := func(what string) func() { return func() { got = append(got, what) } }
		s := &stopper{stopSoon: note("soon"), stopNow: note("now"), reload: note("reload"), onTerminal: test.onTerminal}
		start := time.Now()
		for _, e := range test.events {
			s.take(e.signal, start.Add(e.after))
		}
		if s.limit != nil {
			s.limit.Stop()
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
