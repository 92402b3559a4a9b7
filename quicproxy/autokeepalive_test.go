package quicproxy

import (
	"fmt"
	"testing"
	"time"
)

// TestAutoKeepalive: whatever the NAT does, the node settles below its timeout, and loses nothing by that.
func TestAutoKeepalive(t *testing.T) {
	for _, test := range []struct {
		timeout     time.Duration
		inbound     bool
		loss        float64
		least, most time.Duration // of the interval
	}{
		{20 * time.Second, false, 0, 15 * time.Second, 15 * time.Second},
		{20 * time.Second, true, 0, 15 * time.Second, 15 * time.Second},
		{45 * time.Second, false, 0, 30 * time.Second, 40 * time.Second},
		{45 * time.Second, true, 0, 30 * time.Second, 40 * time.Second},
		{45 * time.Second, false, 0.05, 30 * time.Second, 40 * time.Second},
		{200 * time.Second, false, 0, 160 * time.Second, 180 * time.Second},
		{200 * time.Second, true, 0.05, 160 * time.Second, 180 * time.Second},
		{0, false, 0, 270 * time.Second, 270 * time.Second},
	} {
		t.Run(fmt.Sprintf("%v, inbound %v, loss %v", test.timeout, test.inbound, test.loss), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.nat.SetTimeout(test.timeout, test.inbound)
				w.net.SetLoss(test.loss, 7)
				server := w.startServer(patient)
				w.serveTCP(web, echo)
				node := w.startNode(expose("web", web), auto)
				node.leases.wait(t, 1)
				idle := w.visit("20000")
				idle.SetDeadline(time.Time{})
				exchange(t, idle, "before")
				if now := node.interval(); now != DefaultKeepalive {
					t.Errorf("it begins with a keepalive every %v", now)
				}
				if got := node.learned(t); got < test.least || got > test.most {
					t.Errorf("it settles at %v, want %v to %v", got, test.least, test.most)
				}
				t.Logf("settled at %v", node.interval())
				if test.loss > 0 { // a lost keepalive makes the node move, and careful
					exchange(t, idle, "after")
					return
				}
				before := server.server.Status().Sessions
				w.reachable(t, 2*time.Hour)
				exchange(t, idle, "after")
				after := server.server.Status().Sessions
				if len(after) != 1 || after[0].Address != before[0].Address || after[0].Since != before[0].Since {
					t.Errorf("the mapping was lost: %+v became %+v", before, after)
				}
				if n := w.logged.count("lost the mapping"); n != 0 {
					t.Errorf("%d mappings were lost", n)
				}
			})
		})
	}
}

// TestAutoKeepaliveRemembers: the next process begins with what the one before has learned, and proves it again
// when a week has passed.
func TestAutoKeepaliveRemembers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		store := new(networkMemory)
		remember := func(c *NodeConfig) { c.Networks = store }
		w.nat.SetTimeout(200*time.Second, false)
		w.startServer(patient)
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web), auto, remember)
		learned := node.learned(t)
		node.stop()
		saves := store.saves

		node = w.startNode(expose("web", web), auto, remember)
		node.leases.wait(t, 1)
		if got := node.interval(); got != learned {
			t.Errorf("a new process begins with %v, want %v", got, learned)
		}
		w.reachable(t, time.Hour)
		if store.saves != saves {
			t.Error("it found out again what it knew")
		}
		node.stop()

		w.nat.SetTimeout(0, false)
		store.known[0].Found = time.Now().Add(-provenFor)
		node = w.startNode(expose("web", web), auto, remember)
		node.leases.wait(t, 1)
		if got := node.interval(); got != learned {
			t.Errorf("while it proves it again, the interval is %v", got)
		}
		if got := node.learned(t); got != 270*time.Second {
			t.Errorf("after a week, behind a NAT that keeps everything, it settles at %v", got)
		}
	})
}

// TestAutoKeepaliveUnderIdleTimeout: neither side's idle timeout is ever reached.
func TestAutoKeepaliveUnderIdleTimeout(t *testing.T) {
	for _, test := range []struct{ node, server, want time.Duration }{
		{DefaultIdleTimeout, DefaultIdleTimeout, 36 * time.Second},
		{15 * time.Minute, 90 * time.Second, 36 * time.Second},
		{5 * time.Minute, time.Hour, 2 * time.Minute},
		{20 * time.Second, time.Hour, 8 * time.Second},
		{time.Hour, 20 * time.Second, 8 * time.Second},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer(func(c *ServerConfig) { c.IdleTimeout = test.server })
				node := w.startNode(expose("web", web), auto, func(c *NodeConfig) { c.IdleTimeout = test.node })
				node.leases.wait(t, 1)
				since := server.server.Status().Sessions[0].Since
				if got := node.learned(t); got != test.want {
					t.Errorf("it settles at %v, want %v", got, test.want)
				}
				time.Sleep(time.Hour)
				if now := server.server.Status().Sessions; len(now) != 1 || now[0].Since != since {
					t.Errorf("the connection did not last: %+v", now)
				}
			})
		})
	}
}
