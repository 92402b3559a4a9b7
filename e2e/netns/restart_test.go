//go:build linux

package netns

import (
	"testing"
	"time"
)

// TestRestart kills the server and restarts it some time later. Relays end, but the node must notice and come
// back to its port, and new visitors must be served.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{time.Second, 8 * time.Second} {
		for _, k := range []kind{idle, echo} {
			t.Run(away.String()+"/"+string(k), func(t *testing.T) {
				t.Parallel()
				w := newTunnel(t)
				old := w.relays(k)[0]
				w.server.kill()
				time.Sleep(away)
				w.startServer()
				w.server.await(`(listening for nodes)`)
				listens := time.Now()
				check(t, "restart after "+away.String(), k, w.firstVisit(maxWait).Sub(listens))
				select {
				case <-old.done:
				case <-time.After(maxWait):
					t.Error("home did not learn that the relay of the old server ended")
				}
			})
		}
	}
}

// firstVisit visits repeatedly until a visitor is served, and returns when that was.
func (w *tunnel) firstVisit(limit time.Duration) time.Time {
	w.t.Helper()
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(thought) {
		visitor, home, failure := w.visit(time.Until(deadline))
		if err = failure; err != nil {
			continue
		}
		r := w.use(echo, visitor, home)
		r.awaitArrival(limit)
		_, at := r.arrivals.toFirst()
		r.finish()
		return at
	}
	w.t.Fatalf("no visitor is served: %v", err)
	return time.Time{}
}
