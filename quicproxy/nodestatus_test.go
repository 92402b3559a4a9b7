package quicproxy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"apquic/quicproxy/node"
)

// TestNodeStatus: a node knows its state, and whether its services answer.
func TestNodeStatus(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		status := func(node *running) node.Status {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return node.node.Status(ctx)
		}
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web), expose("dead", "192.168.1.101:1"))
		eventually(t, "not connected", func() bool { return status(node).Trouble != nil })
		got := status(node)
		if !got.Since.IsZero() || !strings.Contains(got.Trouble.Error(), "no answer") || got.Services[0].PublicAddress != "" {
			t.Errorf("without a server: %+v", got)
		}

		server := w.startServer()
		node.leases.wait(t, 2)
		connected := time.Now()
		time.Sleep(time.Minute)
		before := status(node)
		exchange(t, w.visit("20000"), "one")
		exchange(t, w.visit("20000"), strings.Repeat("two", 10_000))
		got = status(node)
		if sent, received := got.Sent-before.Sent, got.Received-before.Received; sent < 30_000 || sent > 40_000 || received < 30_000 || received > 40_000 || got.Sent < got.Path.BytesSent {
			t.Errorf("30 kB each way are %d and %d", sent, received)
		}
		if got.Node != w.nodeKey.ID() || got.Server != w.key.ID() || got.Address != serverIP+":8090" || got.Trouble != nil {
			t.Errorf("who is who: %+v", got)
		}
		if ago := connected.Sub(got.Since); ago < 0 || ago > time.Second || got.Path.RTT < 20*time.Millisecond || got.Path.RTT > 100*time.Millisecond || got.Path.Lost != 0 || got.Path.Keepalive <= 0 || got.Remote != serverIP+":8090" {
			t.Errorf("the connection: %+v", got)
		}
		live, dead := got.Services[0], got.Services[1]
		if live.Service != "web" || live.PublicAddress != "tcp://"+serverIP+":20000" || live.Relays != 2 || live.Upstream != nil || live.Refusal != nil {
			t.Errorf("the service: %+v", live)
		}
		if dead.Service != "dead" || dead.Relays != 0 || dead.Upstream == nil {
			t.Errorf("the one that does not answer: %+v", dead)
		}

		server.stop()
		eventually(t, "noticed", func() bool { return status(node).Since.IsZero() })
		if got = status(node); got.Sent+got.Received != 0 || got.Trouble == nil || got.Services[0].PublicAddress != "" {
			t.Errorf("after the server stopped: %+v", got)
		}
	})
}

// TestNodeStatusRefused: a service without a port says why.
func TestNodeStatusRefused(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.MaxServices = 1 })
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web), expose("more", web))
		eventually(t, "refused", func() bool { return node.node.Status(t.Context()).Services[1].Refusal != nil })
		got := node.node.Status(t.Context()).Services[1]
		if got.PublicAddress != "" || !strings.Contains(got.Refusal.Error(), "services") {
			t.Errorf("%+v", got)
		}
	})
}
