package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/hint"
)

// leaver has a running node leave its server: it stops the node, so that nothing asks for leases, and then
// leaves as the command does without a running node.
type leaver struct {
	of   *follower
	stop context.CancelFunc // of the node
	done chan struct{}      // closed when outcome is there

	mu      sync.Mutex
	asked   bool
	force   bool
	outcome left
}

func newLeaver(of *follower, stop context.CancelFunc) *leaver {
	return &leaver{of: of, stop: stop, done: make(chan struct{})}
}

// ServeHTTP implements http.Handler.
func (l *leaver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).SetWriteDeadline(time.Time{}) // visitors may take long to finish
	force := r.URL.Query().Get("force") == "true"
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if now := l.of.node.Status(ended); now.Since.IsZero() && !force {
		why := "there is no connection to the server yet"
		if now.Trouble != nil {
			why = now.Trouble.Error()
		}
		control.Answer(w, left{Trouble: why, Hint: "try again when the server can be reached; or --force has the node forget it, while it keeps the ports for the node until their time is over"})
		return
	}
	l.mu.Lock()
	l.asked, l.force = true, force
	l.mu.Unlock()
	l.of.log.Info("leaving the server: the node stops")
	l.stop()
	select {
	case <-l.done:
		l.mu.Lock()
		defer l.mu.Unlock()
		control.Answer(w, l.outcome)
	case <-r.Context().Done():
	}
}

// finish leaves the server once the node has stopped, if that was asked for.
func (l *leaver) finish(err error) error {
	defer close(l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || !l.asked {
		return err
	}
	f := l.of
	outcome, err := leaveAlone(context.Background(), f.call.Settings, f.server, l.force)
	outcome.Named = !f.running.Server.Server.IsZero()
	if err != nil {
		outcome.Trouble, outcome.Hint = cli.Errors(err)[0], hint.Of(err)
	}
	l.outcome = outcome
	return err
}
