package quicproxy_test

import (
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"
)

// TestProxyIntoNetworks: a SOCKS5 client at the public port gets into the named networks of the home. What
// follows is a relay like any other, with its ends.
func TestProxyIntoNetworks(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP("192.168.1.101:80", echo)
		w.startServer()
		node := w.startNode(func(c *NodeConfig) {
			c.Services = []Service{{Name: "lan", Upstream: "socks5:", Networks: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}}}
		})
		node.leases.wait(t, 1)
		const done = "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
		connect := func(address, port string) string { return "\x05\x01\x00\x05\x01\x00\x01" + address + port }

		visitor := w.visit("20000")
		// All at once: what follows the request is for the upstream.
		if err := errors.Join(writeErr(visitor, connect("\xc0\xa8\x01\x65", "\x00\x50")+"hello"), wantPrefix(visitor, done+"hello")); err != nil {
			t.Fatal(err)
		}
		closeWriteErr(visitor)
		if err := wantRead(visitor, "", nil); err != nil {
			t.Error(err)
		}
		for request, want := range map[string]string{
			connect("\xcb\x00\x71\x05", "\x00\x50"): "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", // the server itself
			connect("\xc0\xa8\x01\x65", "\x00\x51"): "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", // nobody listens
		} {
			visitor := w.visit("20000")
			if err := errors.Join(writeErr(visitor, request), wantRead(visitor, want, nil)); err != nil {
				t.Errorf("%q: %v", request, err)
			}
		}
		visitor = w.visit("20000")
		if err := writeErr(visitor, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(visitor); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("no SOCKS: %v", err)
		}
		eventually(t, "all over", func() bool { return node.node.Inspect().Streams.Len() == 0 })
		if n := w.logged.count("the service cannot be reached"); n != 0 {
			t.Errorf("clients filled the log with %d lines", n)
		}
	})
}
