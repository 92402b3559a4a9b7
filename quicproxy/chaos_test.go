package quicproxy_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/testrace"
	"apquic/quicproxy"
)

const (
	// afterCalm is how long clients may still take once nothing is disturbed, and quietAfter how long
	// anything may be left of them.
	afterCalm, quietAfter = 3 * time.Minute, 20 * time.Second
	// settling is how long it may take until each relay has a working connection again.
	settling = DefaultKeepalive + 5*time.Second
	// comesBack is how long a node may take that has repeatedly found no server.
	comesBack = 2 * time.Minute
)

// TestChaos plays histories of the whole tunnel: clients and services run programs while connections are
// killed, cut, rebound and lossy, lanes come and go, and server and node drain, crash and restart. Every byte
// and every end must be that of the other side, unless the history has a cause for a reset. Each service is
// asked once for each client, and nothing is left at the end. APQUIC_HISTORIES=5000 plays more histories,
// SEED=17 only that one, with the programs' log.
func TestChaos(t *testing.T) {
	all := &tally{outcomes: make(map[string]int)}
	t.Cleanup(func() { t.Log(all) })
	for seed := range chaosHistories() {
		if only := os.Getenv("SEED"); only != "" && only != fmt.Sprint(seed) {
			continue
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newHistory(t, seed, all).play() })
		})
	}
}

func chaosHistories() uint64 {
	if more, err := strconv.ParseUint(os.Getenv("APQUIC_HISTORIES"), 10, 64); err == nil {
		return more
	}
	return uint64(testrace.Whole(300, 60))
}

// tally counts how the clients of all histories fared: a test in which all were excused would prove nothing.
type tally struct {
	mu       sync.Mutex
	outcomes map[string]int
}

func (a *tally) count(outcome string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outcomes[outcome] += n
}

func (a *tally) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []string
	for outcome, n := range a.outcomes {
		lines = append(lines, fmt.Sprintf("%9d  %s", n, outcome))
	}
	slices.Sort(lines)
	return "what came of it:\n" + strings.Join(lines, "\n")
}

// history is one history. Unguarded fields belong to the goroutine of play.
type history struct {
	*world
	*rand.Rand
	all       *tally
	seed      uint64
	begin     time.Time
	setting   setting
	server    *program
	nodes     []*program // the newest last; older ones drain
	clients   []*client
	moves     int       // of the home, to addresses that it never had
	disturbed time.Time // when the network was last

	mu      sync.Mutex
	steps   []string
	causes  []cause
	served  []*side             // connections to services that have ended
	serving int                 // those that have not
	sides   uint64              // both
	dialed  map[string]*program // by the address that services see
	ports   map[string]string
}

// setting is what a history has from the start.
type setting struct {
	clients, steps     int
	bits               int // of the bytes of one direction
	latency            time.Duration
	idle, resume       time.Duration
	drain              time.Duration
	serverMem, nodeMem int64 // 0: as much as is needed
	slowDials          bool
	maxClients         int // of a service; 0: as many as come
	visitors           quicproxy.Visitors
}

func newHistory(t *testing.T, seed uint64, all *tally) *history {
	h := &history{
		world: newWorld(t), Rand: rand.New(rand.NewPCG(seed, 8)), all: all, seed: seed, begin: time.Now(),
		dialed: make(map[string]*program), ports: make(map[string]string),
	}
	h.setting = setting{
		clients: 1 + h.IntN(8), steps: 1 + h.IntN(16), bits: 18,
		latency: time.Duration(1+h.IntN(60)) * time.Millisecond,
		idle:    []time.Duration{10 * time.Second, 30 * time.Second, 90 * time.Second}[h.IntN(3)],
		resume:  5 * time.Minute, drain: time.Duration(h.IntN(8)) * time.Second, slowDials: h.IntN(3) == 0,
	}
	switch h.IntN(16) {
	case 0:
		h.setting.resume = -1
	case 1:
		h.setting.resume = 15 * time.Second
	case 2, 3:
		h.setting.bits = 22
	case 4, 5:
		h.setting.serverMem, h.setting.nodeMem, h.setting.bits = int64(256<<10<<h.IntN(4)), int64(256<<10<<h.IntN(4)), 20
	case 6:
		h.setting.maxClients = 2
	case 7, 8:
		h.setting.visitors = quicproxy.Visitors{BytesIn: 50_000, BytesOut: 30_000}
	}
	h.net.SetLatency(h.setting.latency)
	return h
}

// step notes what happens next.
func (h *history) step(format string, a ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps = append(h.steps, fmt.Sprintf("%8.3f s  %s", time.Since(h.begin).Seconds(), fmt.Sprintf(format, a...)))
}

// play plays the whole history.
func (h *history) play() {
	defer h.report()
	h.serve()
	h.startServerProcess()
	h.startNodeProcess()
	h.learnPorts()
	talking := h.visitors()
	overUDP, end := h.datagramVisitors()
	for range h.setting.steps {
		time.Sleep(h.upTo(32))
		h.disturb()
	}
	h.calm()
	talked := make(chan struct{})
	go func() { talking.Wait(); close(talked) }()
	select {
	case <-talked:
	case <-time.After(afterCalm):
		h.t.Error("clients have no end")
	}
	h.servicesEnd()
	if !h.t.Failed() {
		h.checkDatagrams(overUDP)
	}
	end()
	if h.t.Failed() {
		return
	}
	h.check()
	h.checkPorts()
	h.goodAsNew()
	h.empty()
}

func (h *history) servicesEnd() {
	h.eventually("services with an end", func() string {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.serving > 0 {
			return fmt.Sprintf("%d services run", h.serving)
		}
		return ""
	})
}

// goodAsNew requires that a client is served as if nothing had happened.
func (h *history) goodAsNew() {
	h.within(comesBack, "node that is connected", func() string {
		if !connected(h.node().node) {
			return "it is not"
		}
		return ""
	})
	time.Sleep(settling)
	h.step("all is good")
	c := h.newClient("ssh")
	c.side = &side{Rand: c.Rand, id: c.id, total: 1000, end: ends}
	h.talk(c)
	h.servicesEnd()
	h.checkClient(c)
}

// empty requires that nothing is left: first of clients, then of the node at the server, then of goroutines
// and sockets.
func (h *history) empty() {
	// A stopping node, or an idle lane, may have closed its connection over a dead path.
	h.within(max(h.setting.idle, flowsEnd)+quietAfter, "server without clients", func() string { return serverLeftovers(h.server.server, true) })
	h.within(flowsEnd+quietAfter, "node without clients", func() string { return nodeLeftovers(h.node().node, true) })
	h.stopNode(h.node())
	h.within(h.setting.idle+quietAfter, "server without nodes", func() string { return serverLeftovers(h.server.server, false) })
	h.server.stop()
	if left := serverLeftovers(h.server.server, false) + nodeLeftovers(h.node().node, false); left != "" {
		h.t.Error("after the end: ", left)
	}
	time.Sleep(time.Second) // what was closed ends
	if left := stacksOf("quicproxy/server.", "quicproxy/node.", "quicproxy/internal/", "quic-go"); left != "" {
		h.t.Error("goroutines are left:\n", left)
	}
	if n := h.net.Open(); n != h.listening() {
		h.t.Errorf("%d sockets are open, %d of them those of the services", n, h.listening())
	}
}

// eventually waits until there is nothing to complain about.
func (h *history) eventually(what string, complaint func() string) {
	h.t.Helper()
	h.within(quietAfter, what, complaint)
}

func (h *history) within(limit time.Duration, what string, complaint func() string) {
	h.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		said := complaint()
		if said == "" {
			return
		}
		if time.Now().After(end) {
			h.t.Errorf("no %s: %s", what, said)
			return
		}
	}
}

// stacksOf returns the stacks of the goroutines in this bubble in which any of some names occurs.
func stacksOf(names ...string) string {
	stacks := make([]byte, 4<<20)
	all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
	_, bubble, _ := strings.Cut(strings.SplitN(all[0], "\n", 2)[0], "synctest ")
	return strings.Join(slices.DeleteFunc(all[1:], func(stack string) bool {
		return !strings.Contains(stack, bubble) || !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(stack, name) })
	}), "\n\n")
}

// report says what happened in a history that failed.
func (h *history) report() {
	if !h.t.Failed() {
		return
	}
	h.t.Logf("play it again with SEED=%d APQUIC_HISTORIES=%d go test -run 'TestChaos/^%d$' -count=20\n%+v\n%s",
		h.seed, h.seed+1, h.seed, h.setting, strings.Join(h.steps, "\n"))
	for _, c := range h.clients {
		h.t.Log(h.describe(c))
	}
	for _, s := range h.served {
		h.t.Logf("service: %v, from %.3f s to %.3f s", s, s.begun.Sub(h.begin).Seconds(), s.ended.Sub(h.begin).Seconds())
	}
	if os.Getenv("SEED") != "" {
		h.t.Log(h.logged.String())
	}
}

// upTo is a random time up to 2^bits nanoseconds, of any order of magnitude.
func (h *history) upTo(bits int) time.Duration { return anyTime(h.Rand, bits) }

func anyTime(r *rand.Rand, bits int) time.Duration {
	const least = 20 // a millisecond
	return time.Duration(r.Int64N(1 << (least + r.IntN(bits-least+1))))
}
