package quicproxy_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/carrier"
)

// told counts the lines of a server's log above debug level.
func (b *logBuffer) told() (n int) {
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "side=server") && !strings.Contains(line, "level=DEBUG") {
			n++
		}
	}
	return n
}

// goroutines counts those of this test's bubble that are in a function: other tests run at the same time.
func goroutines(function string) (n int) {
	stacks := make([]byte, 64<<20)
	own, _, _ := strings.Cut(string(stacks[:runtime.Stack(stacks, false)]), "]:")
	bubble := own[strings.LastIndex(own, ", ")+1:] + "]:"
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		head, frames, _ := strings.Cut(stack, "\n")
		if strings.HasSuffix(head, bubble) && strings.Contains(frames, function+"(") {
			n++
		}
	}
	return n
}

// attacker is a connection of w's node that sends what it wants.
type attacker struct {
	*peer
	sealer  *framing.Sealer
	nonce   uint64
	answers atomic.Int64
	busy    atomic.Int64 // of these
	retry   atomic.Uint64
}

// newAttacker has the service web, and reads what comes unless it is deaf.
func newAttacker(w *world, instance uint64, deaf bool) *attacker {
	w.t.Helper()
	a := &attacker{peer: dialServer(w), nonce: 2}
	a.sealer = a.peer.sealer(w.nodeKey, framing.RoleNode, 0)
	hello := &framing.Hello{Instance: instance, Features: carrier.Features(quicproxy.DefaultResumeTime).Numbers()}
	a.write(seal(w.t, a.sealer, framing.OpHello, hello, 1, false))
	a.wantReply(1, framing.OpWelcome, 0)
	a.write(seal(w.t, a.sealer, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Movable: true}, 2, false))
	a.wantReply(2, framing.OpProxyResponse, 0)
	a.stream.SetReadDeadline(time.Time{})
	if !deaf {
		go a.listen()
	}
	return a
}

func (a *attacker) listen() {
	for {
		envelope, err := a.opener.Open(a.reader)
		if err != nil {
			return
		}
		a.answers.Add(1)
		var failure framing.Failure
		if envelope.Opcode == framing.OpFailure && envelope.Decode(&failure) == nil && framing.ErrorCode(failure.Code) == framing.ErrorBusy {
			a.busy.Add(1)
			a.retry.Store(failure.RetryAfterMilliseconds)
		}
	}
}

// request sends a request without waiting for the answer.
func (a *attacker) request(op framing.Opcode, message proto.Message) error {
	a.nonce++
	frame, err := a.sealer.Seal(op, message, a.nonce, false)
	if err == nil {
		_, err = a.stream.Write(frame)
	}
	return err
}

// TestBadNames: a node that sends thousands of bad requests does not fill the log.
func TestBadNames(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		a := newAttacker(w, 1, false)
		before := w.logged.told()
		for i := range 1000 {
			a.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: fmt.Sprint("BAD ", i)})
		}
		time.Sleep(10 * time.Minute)
		if n := a.answers.Load(); n != 1000 {
			t.Errorf("%d answers", n)
		}
		if n := w.logged.told() - before; n > 15 {
			t.Errorf("%d lines", n)
		}
		if !strings.Contains(w.logged.String(), "lines like this one were suppressed") {
			t.Error("nobody is told that lines were suppressed")
		}
	})
}

// countingStore counts writes.
type countingStore struct {
	lease.Store
	writes *atomic.Int64
}

func (s countingStore) Put(ctx context.Context, l lease.Lease, ended ...lease.Ended) (lease.Lease, error) {
	s.writes.Add(1)
	return s.Store.Put(ctx, l, ended...)
}

// TestRequestFlood: a node writes to the store at most once a second, over all its connections, after a
// burst. Requests above that are refused, with a time after which it may ask again.
func TestRequestFlood(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var writes atomic.Int64
		w.store = countingStore{w.store, &writes}
		server := w.startServer()
		var attackers []*attacker
		for range 4 {
			attackers = append(attackers, newAttacker(w, 1, false))
		}
		begin := time.Now()
		for i := range 400 {
			for _, a := range attackers {
				a.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: uint32(20000 + i%2)})
			}
			time.Sleep(10 * time.Millisecond)
		}
		lines := w.logged.told()
		took := time.Since(begin)
		if n := writes.Load(); n > 32+int64(took/time.Second)+1 {
			t.Errorf("%d writes in %v", n, took)
		}
		time.Sleep(time.Minute)
		last := attackers[len(attackers)-1] // the others have been replaced, and get nothing
		if last.busy.Load() == 0 || last.retry.Load() == 0 || last.retry.Load() > 1000 {
			t.Errorf("%d refused, asked to wait for %d ms", last.busy.Load(), last.retry.Load())
		}
		if lines > 100 {
			t.Errorf("%d lines", lines)
		}
		// Another node does not suffer.
		w.nodeKey = newKey(t)
		w.startNode(expose("web", web)).leasesWait(t)
		if n := len(server.server.Status().Leases); n != 2 {
			t.Errorf("%d leases", n)
		}
	})
}

// TestKeepaliveFlood: thousands of messages sent at once are answered at a limited rate.
func TestKeepaliveFlood(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		a := newAttacker(w, 1, false)
		go func() {
			for range 2000 {
				a.request(framing.OpKeepalive, &framing.Keepalive{})
			}
		}()
		time.Sleep(10 * time.Second)
		if n := a.answers.Load(); n < 500 || n > 1100 {
			t.Errorf("%d answers in 10 s", n)
		}
		time.Sleep(time.Minute)
		if n := a.answers.Load(); n != 2000 {
			t.Errorf("%d answers in all", n)
		}
		if n := w.logged.count("read more slowly"); n == 0 {
			t.Error("nobody is told")
		}
	})
}

// TestConnectLoop: a node that keeps reconnecting does not fill the log.
func TestConnectLoop(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		for range 100 {
			p := dialServer(w)
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
			p.wantReply(1, framing.OpWelcome, 0)
			p.conn.CloseWithError(0, "")
			eventually(t, "the server forgot it", func() bool { return len(server.server.Status().Sessions) == 0 })
		}
		if n := w.logged.told(); n > 80 {
			t.Errorf("%d lines", n)
		}
	})
}

// openLane is a lane of a process of w's node; nil: it was refused.
func openLane(w *world, instance uint64) *peer {
	w.t.Helper()
	p := dialServer(w)
	s := p.sealer(w.nodeKey, framing.RoleNode, 0)
	p.write(seal(w.t, s, framing.OpHello, &framing.Hello{Instance: instance, Lane: true}, 1, false))
	envelope, err := p.opener.Open(p.reader)
	if err != nil || envelope.Opcode != framing.OpWelcome {
		return nil
	}
	return p
}

func lanesNow(s *Server) (n int) {
	for _, session := range s.Status().Sessions {
		if session.Lane {
			n++
		}
	}
	return n
}

// TestLanesOfManyProcesses: a node that keeps claiming to be another process has no more lanes than one
// process, and those of its earlier processes are closed.
func TestLanesOfManyProcesses(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		for instance := range uint64(6) {
			newAttacker(w, instance+1, false)
			for i := range carrier.MaxLanes {
				if openLane(w, instance+1) == nil {
					t.Fatalf("process %d does not get lane %d", instance+1, i)
				}
			}
			if openLane(w, instance+1) != nil {
				t.Error("a process has more lanes than it may have")
			}
			if n := lanesNow(server.server); n != carrier.MaxLanes {
				t.Fatalf("%d lanes after %d processes", n, instance+1)
			}
		}
		newAttacker(w, 99, false)
		time.Sleep(orphanTime + 2*orphansEvery)
		if n := lanesNow(server.server); n != 0 {
			t.Errorf("%d lanes of processes that are gone", n)
		}
		synctest.Wait()
		if n := goroutines("serveNode"); n == 0 || n > 3*(maxConnections+1) {
			t.Errorf("%d connections are served", n)
		}
	})
}

// TestOrphanLanes: lanes outlive their primary connection only briefly.
func TestOrphanLanes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		a := newAttacker(w, 1, false)
		for range 3 {
			openLane(w, 1)
		}
		time.Sleep(5 * time.Minute)
		if n := lanesNow(server.server); n != 3 {
			t.Fatalf("%d lanes beside their connection", n)
		}
		a.conn.CloseWithError(99, "a test")
		time.Sleep(orphanTime / 2)
		if n := lanesNow(server.server); n != 3 {
			t.Fatalf("%d lanes right after the end of their connection", n)
		}
		a = newAttacker(w, 1, false) // in time
		time.Sleep(2 * orphanTime)
		if n := lanesNow(server.server); n != 3 {
			t.Fatalf("%d lanes after their process came back", n)
		}
		a.conn.CloseWithError(99, "a test")
		time.Sleep(orphanTime + 2*orphansEvery)
		if n := lanesNow(server.server); n != 0 {
			t.Errorf("%d lanes without a connection", n)
		}
	})
}

// TestUnreadControlStream: what a node sends faster than it is read counts on its account, even without
// relays.
func TestUnreadControlStream(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		a := newAttacker(w, 1, false)
		go func() {
			for range 1200 {
				message := &framing.ProxyRequest{Service: "other", OriginAddress: strings.Repeat("x", 2000)}
				if a.request(framing.OpRelease, message) != nil {
					return
				}
			}
		}()
		time.Sleep(orphansEvery + time.Second)
		if used := server.server.Inspect().Memory.Used(); used < 32<<10 {
			t.Errorf("%d bytes count", used)
		}
		wantNothingHeld(t, server.server.Inspect().Memory)
	})
}
