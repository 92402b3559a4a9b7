package notices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/events"
)

// told is a receiver that remembers what it is told, and may fail.
type told struct {
	mu    sync.Mutex
	texts []string
	tries int
	fail  func(try int) error // nil: never
}

func (r *told) send(ctx context.Context, m message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if r.fail != nil {
		if err := r.fail(r.tries); err != nil {
			return err
		}
	}
	r.texts = append(r.texts, m.event.Name+": "+m.text())
	return nil
}

// take returns what was told since the last call, once everybody waits.
func (r *told) take() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := r.texts
	r.texts = nil
	return texts
}

// some is a notice about events, with the defaults.
func some(names ...string) Notice {
	return Notice{Events: names, After: DefaultAfter, PerHour: DefaultPerHour, Webhook: Webhook{URL: "https://ntfy.example.org/x"}}
}

// telling runs f beside a program that tells r, in virtual time.
func telling(t *testing.T, r *told, nodes func() map[string]Node, all []Notice, f func(log *slog.Logger, n *Notices, written *strings.Builder)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		written := new(strings.Builder)
		hub := events.New(slog.NewTextHandler(written, nil))
		n, err := Open(Config{Program: "apquic-test", Hub: hub, Log: slog.New(hub)}, all)
		if err != nil {
			t.Fatal(err)
		}
		n.to = func(plan) receiver { return r }
		stop := n.Start(nodes)
		defer stop()
		synctest.Wait()
		f(slog.New(hub), n, written)
	})
}

func (r *told) wants(t *testing.T, texts ...string) {
	t.Helper()
	if got := r.take(); !slices.Equal(got, texts) {
		t.Errorf("told %q, want %q", got, texts)
	}
}

// TestTells: events that a notice names are told, others are not, in order and with what they say.
func TestTells(t *testing.T) {
	r := new(told)
	telling(t, r, nil, []Notice{some("join", "limit-reached", "log")}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		log.Info("audit", "event", "join", "node", "A…", "name", "garage")
		log.Info("node connected", "node", "A…")
		log.Warn("accepting a public connection failed", "client", "192.0.2.1\x1b[31m", "err", errors.New("too many\nfiles"))
		log.Info("anything else")
		r.wants(t, "join: join (node=A…, name=garage)",
			"limit-reached: accepting a public connection failed (client=192.0.2.1 [31m, err=too many files)", "log: anything else")
	})
}

// TestAway: a node is away when it has been for five minutes without a break, once, and back when it is.
func TestAway(t *testing.T) {
	r := new(told)
	telling(t, r, nil, []Notice{some("node-away", "node-back")}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		node := log.With("node", "A…", "name", "garage")
		node.Info("node connected")
		node.Info("node disconnected", "reason", "timeout")
		time.Sleep(5*time.Minute - time.Second)
		r.wants(t)
		node.Info("node connected")
		time.Sleep(time.Hour)
		r.wants(t)
		node.Info("node disconnected", "reason", "timeout")
		time.Sleep(5 * time.Minute)
		r.wants(t, "node-away: the node garage has been away for 5m0s (node=A…, name=garage, reason=timeout)")
		time.Sleep(time.Hour)
		r.wants(t)
		node.Info("node connected")
		r.wants(t, "node-back: the node garage is back after 1h5m0s (node=A…, name=garage)")
		log.Info("node disconnected") // of nobody
		time.Sleep(time.Hour)
		r.wants(t)
	})
}

// TestAwayServer: at a node it is the server that is away, from the first line that says so.
func TestAwayServer(t *testing.T) {
	r := new(told)
	telling(t, r, nil, []Notice{some("server-away", "server-back")}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		log.Info("connecting")
		for _, reason := range []string{"timeout", "network is unreachable", "timeout"} {
			log.Warn("not connected, next try in 2s", "reason", reason)
			time.Sleep(2 * time.Minute)
		}
		r.wants(t, "server-away: the server has been away for 5m0s (reason=timeout)")
		log.Info("connected", "server", "192.0.2.1:1")
		r.wants(t, "server-back: the server is back after 6m0s (server=192.0.2.1:1)")
	})
}

// TestAwayIsChecked: whoever has another connection, or was revoked meanwhile,
// is not away, and the server is asked once for all who are due.
func TestAwayIsChecked(t *testing.T) {
	r, asked := new(told), 0
	nodes := func() map[string]Node { asked++; return map[string]Node{"7…": {Away: true}, "8…": {}} }
	telling(t, r, nodes, []Notice{some("node-away")}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		for i := range 10 {
			log.Info("node disconnected", "node", fmt.Sprint(i, "…"))
		}
		time.Sleep(DefaultAfter + time.Second)
		r.wants(t, "node-away: the node 7… has been away for 5m0s (node=7…)")
		if looks := int(DefaultAfter / lookEvery); asked > 1+looks+1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// TestAwayUnseen: a node whose line was suppressed is missed all the same, but none that was not here before.
func TestAwayUnseen(t *testing.T) {
	r, left := new(told), atomic.Bool{}
	nodes := func() map[string]Node {
		return map[string]Node{"A…": {Name: "garage", Away: left.Load()}, "B…": {Name: "old", Away: true}}
	}
	telling(t, r, nodes, []Notice{some("node-away", "node-back")}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		time.Sleep(time.Hour + lookEvery/2)
		left.Store(true)
		time.Sleep(DefaultAfter)
		r.wants(t)
		time.Sleep(lookEvery)
		r.wants(t, "node-away: the node garage has been away for 5m0s (node=A…, name=garage)")
		time.Sleep(time.Hour)
		r.wants(t)
		left.Store(false)
		log.Info("node connected", "node", "A…", "name", "garage")
		if got := r.take(); len(got) != 1 || !strings.HasPrefix(got[0], "node-back: the node garage is back") {
			t.Errorf("told %q", got)
		}
	})
}

// TestAwayIsBounded: nodes that come and go do not add up, and no more are remembered than are allowed.
func TestAwayIsBounded(t *testing.T) {
	t.Parallel()
	w, now := newWatch(time.Hour, nil), time.Now()
	event := func(name string, node int) events.Event {
		return events.Event{Name: name, Time: now, Attributes: fmt.Appendf(nil, `{"node": "%d"}`, node)}
	}
	for range 10_000 {
		w.see(event("node-disconnected", 1))
		w.see(event("node-connected", 1))
	}
	if len(w.order) > 100 || len(w.gone) != 0 {
		t.Errorf("%d absences are kept, of %d nodes", len(w.order), len(w.gone))
	}
	for i := range 2 * maxAway {
		w.see(event("node-disconnected", i))
	}
	if len(w.gone) != maxAway {
		t.Errorf("%d nodes are away", len(w.gone))
	}
	if away := w.due(now.Add(time.Hour)); len(away) != maxAway || !w.next().IsZero() {
		t.Errorf("%d nodes are told", len(away))
	}
}

// TestPerHour: an event is told so often in any hour; what is beyond is counted, and other events are told.
func TestPerHour(t *testing.T) {
	r, n := new(told), some("join", "revoke")
	n.PerHour = 3
	telling(t, r, nil, []Notice{n}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		for range 10 {
			log.Info("audit", "event", "join")
			time.Sleep(time.Minute)
		}
		r.wants(t, "join: join", "join: join", "join: join")
		log.Info("audit", "event", "revoke")
		r.wants(t, "revoke: revoke")
		time.Sleep(50*time.Minute - time.Second)
		log.Info("audit", "event", "join")
		r.wants(t)
		time.Sleep(time.Second)
		log.Info("audit", "event", "join")
		r.wants(t, "join: join; 8 more before")
	})
}

// TestRetries: what fails is tried again, later and later, and told when it works; or given up, which the log says.
func TestRetries(t *testing.T) {
	r := new(told)
	r.fail = func(try int) error {
		if try <= 4 || try > 5 {
			return errors.New("no answer")
		}
		return nil
	}
	telling(t, r, nil, []Notice{some("join")}, func(log *slog.Logger, _ *Notices, written *strings.Builder) {
		log.Info("audit", "event", "join")
		time.Sleep(12*time.Minute + 34*time.Second)
		r.wants(t)
		time.Sleep(time.Second)
		r.wants(t, "join: join")
		log.Info("audit", "event", "join")
		time.Sleep(time.Hour)
		r.wants(t)
		if text := written.String(); r.tries != 10 || strings.Count(text, "was not delivered") != 1 || !strings.Contains(text, `tries=5 err="no answer"`) {
			t.Errorf("%d tries, and the log says\n%s", r.tries, text)
		}
		r.fail = func(int) error { return permanent{errors.New("the answer is 404")} }
		log.Info("audit", "event", "join")
		time.Sleep(time.Hour)
		if r.take(); r.tries != 11 {
			t.Errorf("%d tries", r.tries-10)
		}
	})
}

// TestQueueIsBounded: while nothing can be told, so much waits and the rest is counted.
func TestQueueIsBounded(t *testing.T) {
	r, n, fails := new(told), some("join"), true
	n.PerHour = maxPerHour
	r.fail = func(int) error {
		if fails {
			return errors.New("no answer")
		}
		return nil
	}
	telling(t, r, nil, []Notice{n}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		for range 500 {
			log.Info("audit", "event", "join")
			synctest.Wait()
		}
		r.mu.Lock()
		fails = false
		r.mu.Unlock()
		time.Sleep(time.Hour)
		if n := len(r.take()); n != maxQueue+1 {
			t.Errorf("%d were told, want %d", n, maxQueue+1)
		}
		log.Info("audit", "event", "join")
		r.wants(t, fmt.Sprintf("join: join; %d more before", 500-maxQueue-1))
	})
}

// TestNoticesFollow: a reload adds and removes notices; one that stays goes on, with what it knows about who is away.
// What happened while there was none is not told.
func TestNoticesFollow(t *testing.T) {
	r := new(told)
	telling(t, r, nil, nil, func(log *slog.Logger, n *Notices, _ *strings.Builder) {
		log.Info("audit", "event", "join")
		follow := func(all ...Notice) {
			t.Helper()
			p, err := Read(all)
			if err != nil {
				t.Fatal(err)
			}
			n.Follow(p)
			synctest.Wait()
		}
		follow(some("node-away"))
		r.wants(t)
		log.Info("node disconnected", "node", "A…")
		follow(some("join"), some("node-away"))
		log.Info("audit", "event", "join")
		r.wants(t, "join: join")
		time.Sleep(5 * time.Minute)
		r.wants(t, "node-away: the node A… has been away for 5m0s (node=A…)")
		follow()
		log.Info("audit", "event", "join")
		r.wants(t)
	})
}

// TestFarewell: what happens last is told, if that takes no more than two seconds, and no wait for another try.
func TestFarewell(t *testing.T) {
	for name, takes := range map[string]time.Duration{"told": time.Second, "given up": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hub := events.New(slog.DiscardHandler)
				n, err := Open(Config{Hub: hub, Log: slog.New(hub)}, []Notice{some("stopping")})
				if err != nil {
					t.Fatal(err)
				}
				r := &slow{takes: takes}
				n.to = func(plan) receiver { return r }
				stop := n.Start(nil)
				synctest.Wait()
				slog.New(hub).Info("stopping")
				begun := time.Now()
				stop()
				if r.told != (name == "told") || time.Since(begun) > farewell {
					t.Errorf("told: %v after %v", r.told, time.Since(begun))
				}
			})
		})
	}
}

// slow is a receiver that takes its time.
type slow struct {
	takes time.Duration
	told  bool
}

func (s *slow) send(ctx context.Context, _ message) error {
	select {
	case <-time.After(s.takes):
		s.told = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestEarlyEnd: a program that ends as soon as it has begun tells why.
func TestEarlyEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 50 { // what the loop takes first is up to chance
			hub := events.New(slog.DiscardHandler)
			n, err := Open(Config{Program: "apquic-test", Hub: hub, Log: slog.New(hub)}, []Notice{some("log")})
			if err != nil {
				t.Fatal(err)
			}
			r := new(told)
			n.to = func(plan) receiver { return r }
			stop := n.Start(nil)
			slog.New(hub).Error("the port is in use")
			stop()
			r.wants(t, "log: the port is in use")
		}
	})
}

// TestManyAway: nodes that leave one after the other cost few looks at the list of all.
func TestManyAway(t *testing.T) {
	r, looks := new(told), 0
	nodes := func() map[string]Node {
		looks++
		return map[string]Node{}
	}
	telling(t, r, nodes, []Notice{some(events.NodeAway)}, func(log *slog.Logger, _ *Notices, _ *strings.Builder) {
		for i := range 2000 {
			log.Info("node disconnected", "node", fmt.Sprint("node-", i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(DefaultAfter)
		if r.wants(t); looks == 0 || looks > 4+int(DefaultAfter/lookEvery) {
			t.Errorf("%d looks for nodes that left within 2 s", looks)
		}
	})
}

// TestStrangersAway: however many strangers leave a server that is open, that a node of the owner's is away is told, and
// that it is back.
func TestStrangersAway(t *testing.T) {
	r := new(told)
	var mu sync.Mutex // guards all
	all := map[string]Node{"own": {Name: "garage", Known: true}}
	for i := range maxAway + 100 {
		all[fmt.Sprint(i)] = Node{}
	}
	list := func() map[string]Node {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(all)
	}
	telling(t, r, list, []Notice{some("node-away", "node-back")}, func(log *slog.Logger, n *Notices, _ *strings.Builder) {
		left := func(node string, away bool) {
			mu.Lock()
			all[node] = Node{Name: all[node].Name, Known: all[node].Known, Away: away}
			mu.Unlock()
			log.Info(map[bool]string{true: "node disconnected", false: "node connected"}[away], "node", node)
		}
		for i := range maxAway + 100 {
			left(fmt.Sprint(i), true)
			if i%batch == 0 {
				synctest.Wait() // the ring is not for so many at once
			}
		}
		left("own", true)
		time.Sleep(2 * DefaultAfter)
		if got := strings.Join(r.take(), "\n"); !strings.Contains(got, "node-away: the node own") || strings.Count(got, "\n") != DefaultPerHour {
			t.Errorf("told\n%s", got)
		}
		for i := range maxAway + 100 {
			left(fmt.Sprint(i), false)
			if i%batch == 0 {
				synctest.Wait()
			}
		}
		left("own", false)
		if got := strings.Join(r.take(), "\n"); !strings.Contains(got, "node-back: the node own") || strings.Count(got, "\n") != DefaultPerHour {
			t.Errorf("told\n%s", got)
		}
	})
}

// TestStrangersLeaveRoom: while nothing can be told, strangers fill no more than half of what may wait.
func TestStrangersLeaveRoom(t *testing.T) {
	t.Parallel()
	o := &outlet{plan: plan{notice: some("node-away")}, told: make(map[counted]*lastHour), missed: make(map[string]uint64), queue: make(chan message, maxQueue)}
	o.notice.PerHour = maxPerHour
	for range 2 * maxQueue {
		o.offer(message{event: events.Event{Name: "node-away"}, stranger: true})
	}
	if n := len(o.queue); n != maxQueue/2 {
		t.Errorf("%d strangers wait", n)
	}
	for range 2 * maxQueue {
		o.offer(message{event: events.Event{Name: "node-away"}})
	}
	if n := len(o.queue); n != maxQueue || o.missed["node-away"] != 3*maxQueue/2 {
		t.Errorf("%d wait, %d are missed", n, o.missed["node-away"])
	}
}

// stubborn is a receiver that ends only a while after it should: a command whose children keep its output open.
type stubborn struct{ running atomic.Int32 }

func (s *stubborn) send(ctx context.Context, _ message) error {
	s.running.Add(1)
	defer s.running.Add(-1)
	<-ctx.Done()
	time.Sleep(10 * time.Second)
	return ctx.Err()
}

// TestReloadWaitsForNobody: notices that a reload removes do not delay the others while they end, and the program waits
// for all of them at once when it stops.
func TestReloadWaitsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var former []Notice
		for i := range maxNotices {
			n := some("join")
			n.PerHour = i + 1 // each another one
			former = append(former, n)
		}
		hub := events.New(slog.DiscardHandler)
		n, err := Open(Config{Program: "apquic-test", Hub: hub, Log: slog.New(hub)}, former)
		if err != nil {
			t.Fatal(err)
		}
		hangs, r := new(stubborn), new(told)
		n.to = func(p plan) receiver {
			if p.notice.Events[0] == "join" {
				return hangs
			}
			return r
		}
		stop := n.Start(nil)
		synctest.Wait()
		slog.New(hub).Info("audit", "event", "join")
		synctest.Wait()
		p, err := Read([]Notice{some("revoke")})
		if err != nil {
			t.Fatal(err)
		}
		n.Follow(p)
		synctest.Wait()
		slog.New(hub).Info("audit", "event", "revoke")
		if r.wants(t, "revoke: revoke"); hangs.running.Load() != maxNotices {
			t.Errorf("%d of the former ones run", hangs.running.Load())
		}
		begun := time.Now()
		if stop(); hangs.running.Load() != 0 || time.Since(begun) > 11*time.Second {
			t.Errorf("after %v %d run on", time.Since(begun), hangs.running.Load())
		}
	})
}
