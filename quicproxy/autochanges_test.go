package quicproxy

import (
	"testing"
	"time"
)

// TestAutoKeepaliveShrinks: what the NAT kept once it keeps no more; the node notices and learns anew.
func TestAutoKeepaliveShrinks(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(patient)
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web), auto)
		node.leases.wait(t, 1)
		idle := w.visit("20000")
		idle.SetDeadline(time.Time{})
		exchange(t, idle, "before")
		was := node.learned(t)
		w.nat.SetTimeout(45*time.Second, false)
		begin := time.Now()
		eventually(t, "the node noticed", func() bool { return w.logged.count("lost the mapping") == 1 })
		if took := time.Since(begin); took > was+2*DefaultKeepalive {
			t.Errorf("it was noticed after %v", took)
		}
		if got := node.interval(); got != DefaultKeepalive {
			t.Errorf("the interval is still %v", got)
		}
		w.reachable(t, firstLossPause-time.Minute)
		if got := node.interval(); got != DefaultKeepalive {
			t.Errorf("after the pause had hardly passed, the interval is %v", got)
		}
		if got := node.learned(t); got < 30*time.Second || got > 40*time.Second {
			t.Errorf("it settles at %v", got)
		}
		w.reachable(t, time.Hour)
		exchange(t, idle, "after")
		if n := w.logged.count("lost the mapping"); n != 1 {
			t.Errorf("%d mappings were lost", n)
		}
	})
}

// TestAutoKeepaliveDistrusts: after an outage what was learned is proven again before it is used. Here the NAT
// is another one behind the same address.
func TestAutoKeepaliveDistrusts(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(patient)
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web), auto)
		node.leases.wait(t, 1)
		idle := w.visit("20000")
		idle.SetDeadline(time.Time{})
		was := node.learned(t)
		for _, timeout := range []time.Duration{0, 45 * time.Second} {
			w.nat.Cut()
			time.Sleep(6 * time.Minute)
			w.nat.SetTimeout(timeout, false)
			w.nat.Restore()
			time.Sleep(time.Minute)
			if got := node.interval(); got != DefaultKeepalive {
				t.Errorf("after an outage the interval is %v", got)
			}
			w.reachable(t, time.Hour)
			if got := node.learned(t); timeout == 0 && got != was || timeout > 0 && (got < 30*time.Second || got > 40*time.Second) {
				t.Errorf("behind a NAT of %v it settles at %v", timeout, got)
			}
		}
		exchange(t, idle, "after")
		if n := w.logged.count("lost the mapping"); n != 0 {
			t.Errorf("%d mappings were lost", n)
		}
	})
}

// TestAutoKeepaliveMoves: each network has its own interval, which is used as soon as it is clear where the
// node is.
func TestAutoKeepaliveMoves(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		store := new(networkMemory)
		w.startServer(patient)
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web), auto, func(c *NodeConfig) { c.Networks = store })
		node.leases.wait(t, 1)
		home := node.learned(t)

		w.nat.SetPublicIP("192.0.2.99")
		w.nat.SetTimeout(45*time.Second, false)
		begin := time.Now()
		eventually(t, "the node knows nothing", func() bool { return node.interval() == DefaultKeepalive })
		if took := time.Since(begin); took > home {
			t.Errorf("it was noticed after %v", took)
		}
		away := node.learned(t)
		if away < 30*time.Second || away > 40*time.Second {
			t.Errorf("there it settles at %v", away)
		}
		saves := store.saves

		w.nat.SetPublicIP(natIP)
		w.nat.SetTimeout(0, false)
		time.Sleep(away + 3*DefaultKeepalive)
		if got := node.interval(); got != home {
			t.Errorf("back home the interval is %v, want %v", got, home)
		}
		w.nat.SetPublicIP("192.0.2.99")
		w.nat.SetTimeout(45*time.Second, false)
		time.Sleep(home + 3*DefaultKeepalive)
		if got := node.interval(); got != away {
			t.Errorf("away again the interval is %v, want %v", got, away)
		}
		if w.logged.count("lost the mapping") != 0 || store.saves != saves || len(store.known) != 2 {
			t.Errorf("a move was taken for a loss: %+v", store.known)
		}
	})
}
