package quicproxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/internal/usage"
	"apquic/lease"
	"apquic/rules"
)

// month is what a node of the world has used of the bytes that a rule lets it have.
type month struct {
	*ledger
	key lease.Key
}

// limited returns the settings of a server that lets the world's node have 1 MiB a month, and what counts it.
func (w *world) limited(service string) (*month, []func(*ServerConfig)) {
	m := &month{new(ledger), lease.Key{Node: w.nodeKey.ID(), Service: service}}
	return m, []func(*ServerConfig){
		func(c *ServerConfig) { c.Ledger = m.ledger }, guests(rules.Limits{MaxMonthBytes: byRule[int64](1 << 20)}, w.nodeKey.ID().String()),
	}
}

// use uses all of them up, as the server then finds.
func (m *month) use(server *Server) {
	m.Add(m.key, usage.Counts{Out: 1 << 20})
	server.Settle()
}

// renew begins the next month.
func (m *month) renew(server *Server) {
	server.Settle()
	m.clear()
	server.Settle()
}

// serveTicks sends a datagram a second to whoever has sent one, whether anybody listens or not.
func (w *world) serveTicks(address string) {
	w.t.Helper()
	socket, err := w.home.ListenUDP(netip.MustParseAddrPort(address).Port())
	if err != nil {
		w.t.Fatal(err)
	}
	var serving sync.WaitGroup
	over := make(chan struct{})
	serving.Go(func() {
		for {
			_, from, err := socket.ReadFrom(make([]byte, 100))
			if err != nil {
				return
			}
			serving.Go(func() {
				for {
					select {
					case <-time.After(time.Second):
						socket.WriteTo([]byte("tick"), from)
					case <-over:
						return
					}
				}
			})
		}
	})
	w.t.Cleanup(func() {
		close(over)
		socket.Close()
		serving.Wait()
	})
}

// hears reports whether a datagram comes that was not sent before now.
func (c *udpClient) hears() bool {
	c.t.Helper()
	for wait := time.Millisecond; ; {
		c.SetReadDeadline(time.Now().Add(wait))
		_, err := c.Read(make([]byte, 100))
		switch {
		case wait > time.Millisecond:
			return err == nil
		case err != nil: // nothing is left of before
			wait = 5 * time.Second
		}
	}
}

// TestMonthOfFlows: flows end when the node has used up its bytes, also one over which only the service sends, and no other
// begins; the node can know why. In the next month they begin again.
func TestMonthOfFlows(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTicks(upstreamUDP)
		month, limits := w.limited("ticks")
		server := w.startServer(limits...)
		node := w.startNode(expose("ticks", "udp://"+upstreamUDP))
		node.leases.wait(t, 1)
		listener := w.visitUDP(20000)
		begin := func(c *udpClient) *udpClient {
			io.WriteString(c, "begin")
			return c
		}
		if !begin(listener).hears() || !listener.hears() {
			t.Fatal("no datagrams come")
		}
		month.use(server.server)
		time.Sleep(2 * time.Second) // for those on their way
		if listener.hears() {
			t.Error("the service goes on sending")
		}
		if begin(listener).hears() || begin(w.visitUDP(20000)).hears() {
			t.Error("a flow begins")
		}
		if n := server.server.Status().Traffic[lease.Endpoint{Port: 20000}].Flows; n != 0 {
			t.Errorf("%d flows", n)
		}
		if refused := nodeStatus(t, node).Services[0].Refused; refused.Month != 2 {
			t.Errorf("the node is told of %+v", refused)
		}
		month.renew(server.server)
		if !begin(listener).hears() {
			t.Error("no datagrams in the next month")
		}
	})
}

// TestMonthOfPrivateService: what passes between two nodes counts for the one that has the service; when that has used up
// its bytes, connections end and no other begins, until the next month.
func TestMonthOfPrivateService(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		month, limits := w.limited("ssh")
		p := withPrivateAt(w, limits, echo)
		laptop := p.connecting()
		c := p.connect(t, laptop, "garage", "ssh")
		exchange(t, c, "hello")
		p.server.server.Settle()
		if n := month.of(month.key); n.In < 5 || n.Out < 5 || n.Connections != 1 {
			t.Errorf("counted as %+v", n)
		}
		if n := month.Month(p.laptopKey.ID()); n > 0 {
			t.Errorf("%d bytes are those of the node that connects", n)
		}
		month.use(p.server.server)
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("a connection goes on: %v", err)
		}
		if _, err := tryConnect(t, laptop, "garage", "ssh"); err == nil {
			t.Error("another connection begins")
		}
		month.renew(p.server.server)
		exchange(t, p.connect(t, laptop, "garage", "ssh"), "again")
		if w.logged.count(`in this month (rule \"guests\")`) == 0 {
			t.Error("the log does not say why a connection was refused")
		}
	})
}

// TestMonthOfBrowser: a browser that keeps its connection to the server, which ends HTTP, gets no more answers of the node
// when that has used up its bytes, until the next month.
func TestMonthOfBrowser(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", http2), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				_, termination := w.withTermination(t)
				month, limits := w.limited("web")
				server := w.startServer(append(limits, termination)...)
				w.serveHTTP(plainWeb, says("hello"))
				w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
				browser := w.browser(http2)
				if status, body := fetch(t, browser, "https://www.example.org/"); body != "hello" {
					t.Fatal(status, body)
				}
				month.use(server.server)
				for range 2 {
					response, err := browser.Get("https://www.example.org/")
					if err != nil {
						continue // it is a new connection
					}
					if response.Body.Close(); response.StatusCode != http.StatusBadGateway {
						t.Errorf("an answer: %s", response.Status)
					}
				}
				month.renew(server.server)
				if status, body := fetch(t, browser, "https://www.example.org/"); body != "hello" {
					t.Errorf("in the next month: %d %q", status, body)
				}
			})
		})
	}
}
