package totals

import (
	"context"
	"errors"
	"sync"
	"time"

	"apquic/internal/hint"
)

// every is how often totals are written: at full minutes, so that a day ends when it does.
const every = time.Minute

// errClosed is the answer of a server that has written its totals for the last time, and may still answer.
var errClosed = hint.Add(errors.New("the totals are closed, since the server stops"), "try again once it has stopped, or runs again")

// Start has settle call Add with what has passed since, and writes that, once a minute, until end is called: that does it
// once more, and closes the file.
func (t *Totals) Start(settle func()) (end func()) {
	t.file.Lock()
	t.settle = settle
	t.file.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			now := time.Now()
			select {
			case <-time.After(now.Truncate(every).Add(every).Sub(now)):
				t.Keep(time.Now())
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		stop()
		running.Wait()
		t.Keep(time.Now())
		t.Close()
	}
}

// Keep takes over and writes what has passed, at a time. It logs once that it cannot.
func (t *Totals) Keep(now time.Time) {
	t.Settle()
	failed := t.turn(now) // what passed belongs to the time before
	if err := t.Write(); err != nil {
		failed = err
	}
	t.report(failed)
}

// report logs that totals cannot be written, once, and when they can again.
func (t *Totals) report(err error) {
	t.file.Lock()
	begun, over := err != nil && !t.failed, err == nil && t.failed
	t.failed = err != nil
	t.file.Unlock()
	switch {
	case begun:
		t.log.Error("totals cannot be written; they are counted on, and written when that is possible again", "err", err, "hint", hint.Of(err))
	case over:
		t.log.Info("totals are written again")
	}
}

// Settle takes over what has passed, without writing it.
func (t *Totals) Settle() {
	t.file.Lock()
	settle := t.settle
	t.file.Unlock()
	if settle != nil {
		settle()
	}
}

// Close closes the file. What is not written is lost.
func (t *Totals) Close() error {
	t.file.Lock()
	defer t.file.Unlock()
	t.closed = true
	return explain("closing", t.path, t.closeFile())
}
