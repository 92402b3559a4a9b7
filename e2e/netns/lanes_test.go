//go:build linux

package netns

import (
	"fmt"
	"io"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// rebindEvery is how often the NAT forgets all mappings, and rebindFor how long that goes on.
	rebindEvery, rebindFor = 5 * time.Second, 65 * time.Second
	// newcomerEvery is the time between two new visitors, and echoes is how many relays run meanwhile: some for each lane.
	newcomerEvery, echoes = 50 * time.Millisecond, 20
	// manyLanes is how many lanes there are at least when it begins; mostly there are 15, as many as a server allows.
	manyLanes = 7
)

var lanesOpen = regexp.MustCompile(`(?m) msg="loss limits the connection; relays get further lanes" lanes=([0-9]+)$`)

// TestLanesWhileRebinding: a link loses a little, bulk traffic holds lanes open, and every few seconds the NAT gives all
// connections other ports. No new visitor waits for long, and no running relay.
func TestLanesWhileRebinding(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{download, upload} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			w := newTunnel(t)
			w.uplinks[0].link.set("loss=0.01") // so that lanes open soon
			bulk := w.relays(k, k)
			w.awaitLanes(manyLanes)
			w.uplinks[0].link.set("delay=5ms loss=0.001")
			var running []*relay
			for range echoes {
				running = append(running, w.relay(echo))
			}
			machine := watchLateness(t)
			for _, r := range running {
				r.arrivals.machine = machine
				r.measure()
			}
			newcomers := w.newcomers(rebindFor, machine)
			for end := time.Now().Add(rebindFor); time.Now().Before(end); time.Sleep(rebindEvery) {
				w.uplinks[0].forget()
			}
			check(t, "rebind with lanes", "new", newcomers())
			for _, r := range running {
				check(t, "rebind with lanes", echo, r.longestStall())
			}
			finish(append(running, bulk...))
		})
	}
}

// awaitLanes waits until the node has so many lanes.
func (w *tunnel) awaitLanes(n int) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * maxWait); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		all := lanesOpen.FindAllStringSubmatch(w.node.text(), -1)
		if len(all) == 0 {
			continue
		}
		var lanes int
		if fmt.Sscan(all[len(all)-1][1], &lanes); lanes >= n {
			return
		}
	}
	w.t.Fatalf("the node opened no %d lanes", n)
}

// newcomers has visitors come one after the other for so long. The result waits for the last one, and returns how long one of
// them waited for its first answer at most, apart from the lateness of the machine meanwhile.
func (w *tunnel) newcomers(during time.Duration, machine *lateness) (longest func() time.Duration) {
	var visits sync.WaitGroup
	var most atomic.Int64
	visits.Go(func() {
		for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(newcomerEvery) {
			visits.Go(func() {
				begin := time.Now()
				if err := w.exchange(); err != nil {
					w.t.Errorf("a new visitor: %v", err)
				}
				now := time.Now()
				took := int64(now.Sub(begin) - machine.during(begin, now))
				for was := most.Load(); took > was && !most.CompareAndSwap(was, took); was = most.Load() {
				}
			})
		}
	})
	return func() time.Duration {
		visits.Wait()
		return time.Duration(most.Load())
	}
}

// exchange has a visitor come, get a byte from home, and leave.
func (w *tunnel) exchange() error {
	visitor, home, err := w.visit(maxWait)
	if err != nil {
		return err
	}
	defer visitor.Close()
	defer home.Close()
	if _, err := home.Write([]byte{1}); err != nil {
		return err
	}
	visitor.SetDeadline(time.Now().Add(maxWait))
	_, err = io.ReadFull(visitor, make([]byte, 1))
	return err
}
