//go:build linux

package netns

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// relay is a visitor's connection through the tunnel, with traffic of one kind on it.
type relay struct {
	t             testing.TB
	kind          kind
	visitor, home *net.TCPConn
	arrivals      *meter
	poked         chan struct{} // asks an idle relay for one exchange
	quit          chan struct{} // closed to end the traffic
	closed        chan struct{} // closed with both ends
	closing       sync.Once
	done          chan struct{} // closed when it has ended; err is set then
	err           error
	sent          atomic.Int64 // bytes of bulk traffic
}

// relay makes a relay and waits until its traffic has arrived once.
func (w *tunnel) relay(k kind) *relay {
	w.t.Helper()
	visitor, home, err := w.visit(maxWait)
	if err != nil {
		w.t.Fatalf("%s: %v", k, err)
	}
	r := w.use(k, visitor, home)
	r.awaitArrival(maxWait)
	return r
}

// use puts traffic on a connection with the given ends.
func (w *tunnel) use(k kind, visitor, home *net.TCPConn) *relay {
	r := &relay{t: w.t, kind: k, visitor: visitor, home: home, arrivals: newMeter(),
		poked: make(chan struct{}, 1), quit: make(chan struct{}), closed: make(chan struct{}), done: make(chan struct{})}
	go r.run()
	w.t.Cleanup(func() {
		r.close()
		<-r.done
	})
	if k == idle {
		r.poked <- struct{}{}
	}
	return r
}

// run makes both ends do their part. An error at one ends the other.
func (r *relay) run() {
	defer close(r.done)
	var ends sync.WaitGroup
	var atVisitor, atHome error
	ends.Go(func() {
		if atVisitor = r.atVisitor(); atVisitor != nil {
			r.close()
		}
	})
	ends.Go(func() {
		if atHome = r.atHome(); atHome != nil {
			r.close()
		}
	})
	ends.Wait()
	r.err = errors.Join(atVisitor, atHome)
}

func (r *relay) close() {
	r.closing.Do(func() {
		close(r.closed)
		r.visitor.Close()
		r.home.Close()
	})
}

// measure starts measuring; an idle relay has its next exchange now.
func (r *relay) measure() {
	r.arrivals.restart()
	if r.kind == idle {
		r.poked <- struct{}{}
	}
}

// awaitArrival returns how long after measure something arrived.
func (r *relay) awaitArrival(limit time.Duration) time.Duration {
	r.t.Helper()
	select {
	case <-r.arrivals.firstArrival():
		took, _ := r.arrivals.toFirst()
		return took
	case <-r.done:
		r.t.Fatalf("%s: the relay is lost: %v", r.kind, r.err)
	case <-time.After(limit):
		r.t.Fatalf("%s: nothing arrived for %v", r.kind, limit)
	}
	return 0
}

// finish ends the traffic; everything sent must have arrived.
func (r *relay) finish() {
	r.t.Helper()
	close(r.quit)
	select {
	case <-r.done:
	case <-time.After(maxWait):
		r.t.Errorf("%s: not all that was sent arrived within %v", r.kind, maxWait)
		r.close()
		<-r.done
	}
	if r.err != nil {
		r.t.Errorf("%s: the relay is lost: %v", r.kind, r.err)
	}
}
