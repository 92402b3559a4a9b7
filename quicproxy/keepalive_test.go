package quicproxy_test

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
		{45 * time.Second, true, 0, 30 * time.Second, 40 * time.Second},
		{45 * time.Second, false, 0.05, 30 * time.Second, 40 * time.Second},
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

// TestAutoKeepaliveRemembers: the next process begins with what the previous one learned.
func TestAutoKeepaliveRemembers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		store := new(bindingMemory)
		remember := func(c *NodeConfig) { c.NATBindings = store }
		w.nat.SetTimeout(200*time.Second, false)
		w.startServer(patient)
		node := w.startNode(expose("web", web), auto, remember)
		learned := node.learned(t)
		node.stop()
		saves := store.saves

		node = w.startNode(expose("web", web), auto, remember)
		node.leases.wait(t, 1)
		if got := node.interval(); got != learned {
			t.Errorf("a new process begins with %v, want %v", got, learned)
		}
		time.Sleep(time.Hour)
		if store.saves != saves {
			t.Error("it found out again what it knew")
		}
	})
}

// TestAutoKeepaliveUnderIdleTimeout: the node heeds its own idle timeout and the one that the server
// announces.
func TestAutoKeepaliveUnderIdleTimeout(t *testing.T) {
	for _, test := range []struct{ node, server, want time.Duration }{
		{5 * time.Minute, time.Hour, 2 * time.Minute},
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

// TestAutoKeepaliveShrinks: the NAT no longer keeps what it kept before; only what the server says tells the
// node.
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

// TestAutoKeepaliveAfterOutage: after an outage the node trusts nothing at first, and takes none of its own
// new sockets for a lost mapping.
func TestAutoKeepaliveAfterOutage(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(patient)
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web), auto)
		node.leases.wait(t, 1)
		idle := w.visit("20000")
		idle.SetDeadline(time.Time{})
		was := node.learned(t)
		w.nat.Cut()
		time.Sleep(6 * time.Minute)
		w.nat.Restore()
		time.Sleep(time.Minute)
		if got := node.interval(); got != DefaultKeepalive {
			t.Errorf("after an outage the interval is %v", got)
		}
		w.reachable(t, time.Hour)
		if got := node.learned(t); got != was {
			t.Errorf("it settles at %v, want %v", got, was)
		}
		exchange(t, idle, "after")
		if n := w.logged.count("lost the mapping"); n != 0 {
			t.Errorf("%d mappings were lost", n)
		}
	})
}

// TestAutoKeepaliveMoves: each network has its own interval.
func TestAutoKeepaliveMoves(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		store := new(bindingMemory)
		w.startServer(patient)
		node := w.startNode(expose("web", web), auto, func(c *NodeConfig) { c.NATBindings = store })
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
		w.nat.SetPublicIP(natIP)
		w.nat.SetTimeout(0, false)
		time.Sleep(away + 3*DefaultKeepalive)
		if got := node.interval(); got != home {
			t.Errorf("back home the interval is %v, want %v", got, home)
		}
		if w.logged.count("lost the mapping") != 0 || len(store.bindings) != 2 {
			t.Errorf("a move was taken for a loss: %+v", store.bindings)
		}
	})
}
