package quicproxy_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// datagramVisitor uses the service over UDP throughout the history.
type datagramVisitor struct {
	*udpClient
	*rand.Rand
	id       int
	stop     chan struct{}
	answered atomic.Int64 // the number of the last question that was answered
	asked    atomic.Int64
}

// flowIdle is how long flows stay, and flowsEnd when they have ended on both sides.
const flowIdle, flowsEnd = 20 * time.Second, 50 * time.Second

// datagramVisitors make visitors ask a service over UDP until end is called.
func (h *history) datagramVisitors() (all []*datagramVisitor, end func()) {
	port, err := strconv.Atoi(h.ports["game"])
	if err != nil {
		h.t.Fatal(err)
	}
	stop, stopService := make(chan struct{}), h.serveUDP(upstreamUDP)
	var asking sync.WaitGroup
	for id := range 2 {
		v := &datagramVisitor{udpClient: h.visitUDP(port), Rand: rand.New(rand.NewPCG(h.seed, uint64(1000+id))), id: id, stop: stop}
		all = append(all, v)
		asking.Go(func() { h.askDatagrams(v) })
	}
	return all, func() {
		close(stop)
		asking.Wait()
		for _, v := range all {
			v.Close()
		}
		stopService()
	}
}

// askDatagrams sends questions, some of them too large for a datagram of QUIC, and wants no answer but those to them.
func (h *history) askDatagrams(v *datagramVisitor) {
	for {
		select {
		case <-v.stop:
			return
		case <-time.After(anyTime(v.Rand, 31)):
		}
		n := v.asked.Add(1)
		padding := ""
		if v.IntN(4) == 0 {
			padding = strings.Repeat("x", 1400)
		}
		answer, err := v.try(fmt.Sprintf("%d %d %s", v.id, n, padding), 300*time.Millisecond)
		if err != nil {
			continue // lost, or late
		}
		var port, id int
		var number int64
		if _, err := fmt.Sscan(answer, &port, &id, &number); err != nil || id != v.id || number > n || number < 1 {
			h.t.Errorf("visitor %d over UDP, which has sent %d questions, got %.40q", v.id, n, answer)
			return
		}
		v.answered.Store(max(v.answered.Load(), number))
	}
}

// checkDatagrams wants a question to be answered that a visitor sends from now on. A node with hardly any memory has
// places for one visitor of an address.
func (h *history) checkDatagrams(all []*datagramVisitor) {
	before := make([]int64, len(all))
	for i, v := range all {
		before[i] = v.asked.Load()
	}
	want := len(all)
	if h.setting.nodeMem > 0 {
		want = 1
	}
	h.within(comesBack, "visitors over UDP that are answered", func() string {
		answered := 0
		for i, v := range all {
			if v.answered.Load() > before[i] {
				answered++
			}
		}
		if answered >= want {
			return ""
		}
		return fmt.Sprintf("%d of %d; dropped: %v by the server, %v by the node", answered, len(all),
			h.server.server.Inspect().Datagrams.Dropped(), h.node().node.Inspect().Datagrams.Dropped())
	})
}
