package quicproxy_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"apquic/quicproxy/access"
)

// TestAccess: each connection that a node had is told when it ends, with why, by the server and by the node; nothing is told
// of canaries, and to nobody who no longer wants it.
func TestAccess(t *testing.T) {
	for _, side := range []string{"server", "node"} {
		t.Run(side, func(t *testing.T) { testAccess(t, side) })
	}
}

func testAccess(t *testing.T, side string) {
	simulate(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var told []access.Relay
		outlet := new(access.Outlet)
		outlet.Set(func(r access.Relay) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, r)
		})
		var ofServer, ofNode *access.Outlet
		if side == "server" {
			ofServer = outlet
		} else {
			ofNode = outlet
		}
		w.startServer(func(c *ServerConfig) { c.Access = ofServer })
		w.serveTCP(web, func(c net.Conn) {
			time.Sleep(time.Second)
			echo(c)
		})
		node := w.startNode(withCanary("web", web, 10*time.Second), expose("dead", "192.168.1.101:1"), func(c *NodeConfig) { c.Access = ofNode })
		node.leases.wait(t, 2)
		last := func(what, end string) access.Relay {
			t.Helper()
			count := 0
			eventually(t, what, func() bool {
				mu.Lock()
				defer mu.Unlock()
				count = len(told)
				return count > 0
			})
			mu.Lock()
			defer mu.Unlock()
			r := told[count-1]
			told = nil
			if count != 1 || r.End != end || r.Node != w.nodeKey.ID() {
				t.Errorf("%s: %d lines, the last is %+v", what, count, r)
			}
			return r
		}
		c := w.visit("20000")
		exchange(t, c, "hello")
		c.Close()
		if r := last("closed", "closed"); r.Service != "web" || r.Port != 20000 || r.In != r.Out || r.In == 0 || r.FirstByte < time.Second || r.Lasted < r.FirstByte || r.Client == "" {
			t.Errorf("%+v", r)
		}
		c = w.visit("20000")
		exchange(t, c, "hello")
		c.(lingerer).SetLinger(0)
		c.Close()
		last("reset by the visitor", "client")
		w.visit("20001")
		if r := last("refused", "refused"); r.Service != "dead" || r.FirstByte != 0 {
			t.Errorf("%+v", r)
		}
		listener, err := node.node.Listen(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		c = w.visit("20002")
		program := accept(t, listener)
		if err := errors.Join(writeErr(program, "welcome"), wantPrefix(c, "welcome"), program.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		if r := last("of a program", "closed"); r.Service != "app" || r.Out != 7 || r.In != 0 || r.Port != 20002 {
			t.Errorf("%+v", r)
		}
		outlet.Set(nil)
		c = w.visit("20000")
		exchange(t, c, "hello")
		c.Close()
		time.Sleep(time.Minute)
		if len(told) != 0 {
			t.Errorf("told of %+v after the end", told)
		}
	})
}

// TestAccessOfEvicted: it is the server that ends a connection which has to make room, not the client.
func TestAccessOfEvicted(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		ends := make(map[string]int)
		outlet := new(access.Outlet)
		outlet.Set(func(r access.Relay) {
			mu.Lock()
			defer mu.Unlock()
			ends[r.End]++
		})
		const most = 64
		w.startServer(func(c *ServerConfig) { c.Access, c.MaxClients = outlet, most })
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leases.wait(t, 1)
		for i := range 4 {
			host := w.net.Host(fmt.Sprintf("203.0.%d.9", i))
			for range most {
				c, err := host.DialTCP(t.Context(), serverIP+":20000")
				if err != nil {
					t.Fatal(err)
				}
				writeErr(c, "x")
			}
			time.Sleep(time.Second)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(ends) != 1 || ends["server"] < most/2 {
			t.Errorf("the connections ended by %v", ends)
		}
	})
}
