package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// oneSignal is how long another signal counts as the same one: GNU timeout sends each twice, and so may a
	// terminal and a program started in it.
	oneSignal = 300 * time.Millisecond
	// goodbye is how long a program may take to end when it is told to end at once.
	goodbye = 500 * time.Millisecond
	// exitInterrupted is the exit status of a program that did not end in time, as in shells (128 + SIGINT).
	exitInterrupted = 130
)

// Stopping is how a person or the system ends a program.
type Stopping struct {
	Soon context.Context // ends with the first SIGINT or SIGTERM: running work may finish
	Now  context.Context // ends with the second one: there is only time to close connections
}

// UntilStopped returns a context that ends with the first SIGINT or SIGTERM, for commands that end soon.
func UntilStopped() (context.Context, context.CancelFunc) {
	stopping, cancel := NewStopping(func() {})
	return stopping.Soon, cancel
}

// NewStopping returns a Stopping for signals from now on, until the returned function is called. SIGHUP ends
// a program that was started on a terminal, which is gone; otherwise it means to read the files again, and
// calls reload. A program that was told to ignore it, by nohup, does so.
func NewStopping(reload func()) (Stopping, context.CancelFunc) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	soon, stopSoon := context.WithCancel(context.Background())
	now, stopNow := context.WithCancel(context.Background())
	s := &stopper{stopSoon: stopSoon, stopNow: stopNow, reload: reload, onTerminal: onTerminal()}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case got := <-signals:
				s.take(got, time.Now())
			case <-done:
				return
			}
		}
	}()
	return Stopping{Soon: soon, Now: now}, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		s.end()
	}
}

// stopper decides what a signal means.
type stopper struct {
	stopSoon, stopNow context.CancelFunc
	reload            func()
	onTerminal        bool
	first             time.Time // of the first signal to stop; zero: none came
	limit             *time.Timer
}

func (s *stopper) take(got os.Signal, now time.Time) {
	switch {
	case got == syscall.SIGHUP && !s.onTerminal:
		s.reload()
	case s.first.IsZero():
		s.first = now
		s.stopSoon()
	case now.Sub(s.first) >= oneSignal && s.limit == nil:
		s.limit = time.AfterFunc(goodbye, func() { os.Exit(exitInterrupted) })
		s.stopNow()
	}
}

func (s *stopper) end() {
	if s.limit != nil {
		s.limit.Stop()
	}
	s.stopSoon()
	s.stopNow()
}

// onTerminal reports whether the program has a controlling terminal, the end of which SIGHUP would report.
func onTerminal() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	terminal.Close()
	return true
}
