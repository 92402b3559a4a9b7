package quicproxy_test

import (
	"fmt"
	"testing"
	"time"

	"apquic/internal/testrace"
)

// TestCrashLoop: a server that is killed five seconds after each start has its nodes back within two seconds
// each time, including those that were still reconnecting when it was killed, and those that got another
// address.
func TestCrashLoop(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const nodes = 3
		crash := func(server *running) {
			w.machine.Cut()
			saved, _ := w.peers.Load()
			server.stop()
			w.peers.Save(saved) // a killed process saves nothing
			w.machine.Restore()
		}
		server := w.startServer()
		for i := range nodes {
			w.startNode(expose(fmt.Sprint("web", i), web), func(c *NodeConfig) { c.Key = newKey(t) }).leasesWait(t)
		}
		back := func(what string) {
			t.Helper()
			begin := time.Now()
			eventually(t, "back", func() bool { return len(server.server.Status().Sessions) == nodes })
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("%s: back after %v", what, took)
			}
		}
		for i := range 4 {
			time.Sleep(5 * time.Second)
			crash(server)
			server = w.startServer()
			back(fmt.Sprintf("crash %d", i+1))
		}
		time.Sleep(time.Second)
		// Killed again before anybody is back: the nodes are not forgotten.
		crash(server)
		server = w.startServer()
		time.Sleep(time.Millisecond)
		crash(server)
		server = w.startServer()
		back("two crashes at once")
	})
}

// TestPeersAfterRebinding: an address that a NAT has changed is saved within 250 ms.
func TestPeersAfterRebinding(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		w.startNode(expose("web", web)).leasesWait(t)
		time.Sleep(time.Second)
		before, _ := w.peers.Load()
		w.nat.Rebind()
		time.Sleep(DefaultKeepalive + time.Second)
		after, _ := w.peers.Load()
		if len(before) != 1 || len(after) != 1 || before[0].Node != w.nodeKey.ID() || after[0].Node != before[0].Node || after[0] == before[0] {
			t.Errorf("saved were %v before and %v after the change", before, after)
		}
		if n := w.logged.count(`msg="node roamed"`); n != 1 || w.logged.count("from="+before[0].Address.String()+" to="+after[0].Address.String()) != 1 {
			t.Errorf("%d lines tell of the change", n)
		}
	})
}

// TestPeersWrites: neither many nodes at once nor one that keeps moving cost a write each.
func TestPeersWrites(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		var nodes []*running
		for i := range 40 {
			nodes = append(nodes, w.startNode(func(c *NodeConfig) {
				c.Key = newKey(t)
				c.Services = []Service{{Name: fmt.Sprint("s", i), Upstream: web}}
			}))
		}
		time.Sleep(3 * time.Second)
		if saved, _ := w.peers.Load(); len(saved) != len(nodes) || w.peers.count() > 12 {
			t.Errorf("%d of %d nodes were saved, in %d writes", len(saved), len(nodes), w.peers.count())
		}
		before := w.peers.count()
		lasts := testrace.Whole(time.Minute, 15*time.Second)
		for begin := time.Now(); time.Since(begin) < lasts; {
			r := w.startNode()
			time.Sleep(300 * time.Millisecond)
			r.stop()
		}
		if writes := w.peers.count() - before; writes > savePeersBurst+int(lasts/savePeersEvery)+1 {
			t.Errorf("a node that comes and goes had %d writes in %v", writes, lasts)
		}
	})
}
