package quicproxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// behindBalancer starts a server that trusts the visitor as a load balancer, and a node whose service on port
// 20000 says for whom each connection is, and echoes.
func (w *world) behindBalancer(change ...func(*ServerConfig)) *running {
	w.t.Helper()
	server := w.startServer(append(change, func(c *ServerConfig) {
		c.Balancers = []netip.Prefix{netip.MustParsePrefix(visitorIP + "/32"), netip.MustParsePrefix("2001:db8::/32")}
	})...)
	w.serveTCP("192.168.1.101:80", echo)
	w.startNode(func(c *NodeConfig) {
		c.Services = []Service{{Name: "web", Upstream: "192.168.1.101:80", ProxyProtocol: 1}}
	}).leases.wait(w.t, 1)
	return server
}

// TestBalancer: the client of a trusted load balancer is whom it names, to the node and to every limit.
func TestBalancer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.behindBalancer(func(c *ServerConfig) { c.MaxClientsPerAddress = 1 })
		says := func(header, want string) net.Conn {
			t.Helper()
			c := w.visit("20000")
			if err := writeErr(c, header+"hello"); err != nil {
				t.Fatal(err)
			}
			if err := wantPrefix(c, want+"hello"); err != nil {
				t.Errorf("%q: %v", header, err)
			}
			return c
		}
		const first = "PROXY TCP4 192.0.2.99 203.0.113.80 51000 443\r\n"
		says(first, first)
		says("PROXY TCP6 2001:db8::7 2001:db8::5 51000 443\r\n", "PROXY TCP6 2001:db8::7 2001:db8::5 51000 443\r\n")
		again := w.visit("20000") // the same client: it has one connection already
		if err := writeErr(again, first); err != nil {
			t.Fatal(err)
		}
		if err := wantRead(again, "", syscall.ECONNRESET); err != nil {
			t.Error(err)
		}
		// The balancer itself, by the address that it has.
		c := w.visit("20000")
		own := fmt.Sprintf("PROXY TCP4 %s %s %d 20000\r\n", visitorIP, serverIP, c.LocalAddr().(*net.TCPAddr).Port)
		if err := writeErr(c, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00hello"); err != nil {
			t.Fatal(err)
		}
		if err := wantPrefix(c, own+"hello"); err != nil {
			t.Error(err)
		}
		w.visit("20000").Close() // does the port still listen?
		time.Sleep(time.Second)  // virtual
		if n := w.logged.count("connection of a load balancer refused"); n != 0 {
			t.Errorf("a check of the port was logged %d times", n)
		}
	})
}

// TestHeaderOfStranger: what somebody else sends is the client's own, even if it looks like a header.
func TestHeaderOfStranger(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.behindBalancer()
		stranger := w.net.Host("192.0.2.77")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := stranger.DialTCP(ctx, serverIP+":20000")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		const spoofed = "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
		if err := writeErr(c, spoofed); err != nil {
			t.Fatal(err)
		}
		port := c.LocalAddr().(*net.TCPAddr).Port
		if err := wantPrefix(c, fmt.Sprintf("PROXY TCP4 192.0.2.77 %s %d 20000\r\n%s", serverIP, port, spoofed)); err != nil {
			t.Error(err)
		}
	})
}

// TestBadBalancers: a trusted network whose connections begin otherwise, too late, or never end their header
// costs a bounded number of connections, each for three seconds; the operator is told.
func TestBadBalancers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.behindBalancer()
		ends := func(what string, write func(net.Conn)) {
			t.Helper()
			c := w.visit("20000")
			begun := time.Now()
			var writing sync.WaitGroup
			writing.Go(func() { write(c) })
			defer writing.Wait()
			_, err := io.ReadAll(c)
			if took := time.Since(begun); onlyReset(err) != nil || took > 4*time.Second {
				t.Errorf("%s: %v after %v, want a reset", what, err, took)
			}
		}
		ends("no header", func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\n\r\n") })
		ends("nothing", func(net.Conn) {})
		ends("a trickle", func(c net.Conn) {
			for _, b := range []byte("PROXY TCP4 192.0.2.99 203.0.113.80 51000 443\r\n") {
				c.Write([]byte{b})
				time.Sleep(700 * time.Millisecond)
			}
		})
		ends("a line without end", func(c net.Conn) { io.WriteString(c, "PROXY "+strings.Repeat("A", 1000)) })
		ends("65 KB of extensions", func(c net.Conn) {
			io.WriteString(c, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"+strings.Repeat("\x04\x00\x00", 20000))
		})
		ends("half of it", func(c net.Conn) {
			io.WriteString(c, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33")
			closeWriteErr(c)
		})
		if n := w.logged.count("take its network out of --proxy-protocol-from"); n == 0 {
			t.Error("the operator was not told")
		}

		const most = 1024     // maxWaiting of package balancer
		for range most / 64 { // no more at once than the queue of a listener takes
			var connecting sync.WaitGroup
			for range 64 {
				connecting.Go(func() { w.visit("20000") })
			}
			connecting.Wait()
		}
		synctest.Wait() // all were accepted
		c := w.visit("20000")
		begun := time.Now()
		if _, err := io.ReadAll(c); onlyReset(err) != nil || time.Since(begun) > time.Second {
			t.Errorf("one more than %d: %v after %v", most, err, time.Since(begun))
		}
		time.Sleep(4 * time.Second) // all are gone
		c = w.visit("20000")
		const header = "PROXY TCP4 192.0.2.99 203.0.113.80 51000 443\r\n"
		if err := writeErr(c, header); err != nil {
			t.Fatal(err)
		}
		if err := wantPrefix(c, header); err != nil {
			t.Error(err)
		}

		waiting := w.visit("20000") // does not keep the server from stopping
		time.Sleep(time.Second)
		c.Close()
		begun = time.Now()
		server.stop()
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the server stopped only after %v", took)
		}
		waiting.Close()
	})
}
