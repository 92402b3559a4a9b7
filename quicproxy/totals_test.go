package quicproxy_test

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/usage"
	"apquic/lease"
	"apquic/rules"
)

// ledger is a usage.Ledger in memory, of one month.
type ledger struct {
	mu   sync.Mutex
	sums map[lease.Key]usage.Counts
}

func (l *ledger) Add(key lease.Key, n usage.Counts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sums == nil {
		l.sums = make(map[lease.Key]usage.Counts)
	}
	l.sums[key] = l.sums[key].Plus(n)
}

func (l *ledger) Month(node certs.NodeID) (bytes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, n := range l.sums {
		if key.Node == node {
			bytes += n.Bytes()
		}
	}
	return bytes
}

func (l *ledger) of(key lease.Key) usage.Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sums[key]
}

func (l *ledger) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sums = nil
}

// tagged returns a client that has read the tag of its service, of two bytes.
func (w *world) tagged(port string) interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
} {
	w.t.Helper()
	c := w.visit(port)
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// TestTotalsOfLeases: each byte counts once, also over a new lease of the same service, whose counters begin anew, and in a
// relay that outlives its lease.
func TestTotalsOfLeases(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		kept := new(ledger)
		server := w.startServer(func(c *ServerConfig) { c.Ledger, c.LeaseTime = kept, time.Minute })
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		key := lease.Key{Node: w.nodeKey.ID(), Service: "web"}
		want := func(when string, n usage.Counts) {
			t.Helper()
			time.Sleep(time.Second)
			server.server.Settle()
			if got := kept.of(key); got != n {
				t.Errorf("%s: %+v, want %+v", when, got, n)
			}
		}
		send := func(c io.ReadWriter, text string) {
			t.Helper()
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, len(text))); err != nil {
				t.Fatal(err)
			}
		}
		want("nothing", usage.Counts{})
		first := w.tagged("20000")
		send(first, "hello")
		want("a relay runs", usage.Counts{In: 5, Out: 7, Connections: 1})
		want("nothing more", usage.Counts{In: 5, Out: 7, Connections: 1})
		node.set(t, Service{Name: "other", Upstream: tagB}) // another upstream, so that it is not a new name
		time.Sleep(2 * time.Second)
		if err := server.server.Forget(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		send(first, "after")
		want("its lease has ended", usage.Counts{In: 10, Out: 12, Connections: 1})
		node.set(t, Service{Name: "web", Upstream: tagA})
		var port uint16
		eventually(t, "leased again", func() bool {
			for _, l := range server.server.Status().Leases {
				if l.Service == "web" && l.Attached() {
					port = l.Port
				}
			}
			return port > 0
		})
		second := w.tagged(strconv.Itoa(int(port)))
		send(second, "1234567890")
		second.Close()
		want("a new lease", usage.Counts{In: 20, Out: 24, Connections: 2})
		send(first, "again")
		first.Close()
		want("both have left", usage.Counts{In: 25, Out: 29, Connections: 2})
		want("the former lease is forgotten", usage.Counts{In: 25, Out: 29, Connections: 2})
	})
}

// TestMonthIsUsedUp: a node that has used up its bytes gets no visitors and loses those it has, however slowly they send,
// until it has bytes again; another node is not affected, and the log says so once.
func TestMonthIsUsedUp(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		kept := new(ledger)
		limit := func(n int64) func(*ServerConfig) {
			return guests(rules.Limits{MaxMonthBytes: byRule(n)}, w.nodeKey.ID().String())
		}
		server := w.startServer(func(c *ServerConfig) { c.Ledger = kept }, limit(1<<20))
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		other := newKey(t)
		w.startNode(func(c *NodeConfig) { c.Key = other }, expose("web", tagA)).leases.wait(t, 1)

		slow := w.tagged("20000")
		server.server.Settle()
		if w.refusedVisit("20000") {
			t.Error("refused too early")
		}
		kept.Add(lease.Key{Node: w.nodeKey.ID(), Service: "web"}, usage.Counts{Out: 1 << 20})
		for range 3 {
			time.Sleep(time.Minute)
			server.server.Settle()
		}
		slow.SetDeadline(time.Now().Add(time.Minute))
		if _, err := slow.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("a relay goes on: %v", err)
		}
		if !w.refusedVisit("20000") {
			t.Error("a visitor is welcome")
		}
		if w.refusedVisit("20001") {
			t.Error("another node gets no visitors")
		}
		if w.logged.count(`in this month (rule \"guests\")`) == 0 { // written after the visitor was reset
			t.Error("nobody knows why a visitor is not welcome")
		}
		server.server.Kick(w.nodeKey.ID())
		time.Sleep(time.Minute)
		if !w.refusedVisit("20000") || w.logged.count("used up its bytes") != 1 {
			t.Errorf("to connect again helps, or is logged again: %d lines", w.logged.count("used up its bytes"))
		}
		server.follow(t, limit(1<<30)) // the operator allows more
		if w.refusedVisit("20000") {
			t.Error("still refused")
		}
		server.follow(t, limit(1<<20))
		if !w.refusedVisit("20000") {
			t.Error("not refused again")
		}
		kept.clear() // the month ends
		server.server.Settle()
		if w.refusedVisit("20000") {
			t.Error("refused in the next month")
		}
	})
}

// TestMonthOfClosedPort: a relay that outlives its lease does not outlive the bytes of its node.
func TestMonthOfClosedPort(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		kept := new(ledger)
		server := w.startServer(func(c *ServerConfig) { c.Ledger = kept }, guests(rules.Limits{MaxMonthBytes: byRule(int64(1 << 20))}, w.nodeKey.ID().String()))
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		key := lease.Key{Node: w.nodeKey.ID(), Service: "web"}
		kept.Add(key, usage.Counts{Out: 1}) // something
		c := w.tagged("20000")
		node.set(t)
		time.Sleep(2 * time.Second)
		if err := server.server.Forget(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		server.server.Settle()
		if _, err := io.WriteString(c, "still"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		kept.Add(key, usage.Counts{Out: 1 << 20})
		for range 2 {
			time.Sleep(time.Minute)
			server.server.Settle()
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("the relay goes on: %v", err)
		}
	})
}
