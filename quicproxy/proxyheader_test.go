package quicproxy_test

import (
	"fmt"
	"io"
	"net"
	"testing"
)

// TestProxyProtocolToUpstream: a service that asks for it is told who its client is before the client's first
// byte, and even if the client never sends one; others are not.
func TestProxyProtocolToUpstream(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		got := make(chan string, 1)
		w.serveTCP("192.168.1.101:80", func(c net.Conn) {
			all, _ := io.ReadAll(c)
			got <- string(all)
		})
		w.startServer()
		node := w.startNode(func(c *NodeConfig) {
			for version := range 3 {
				c.Services = append(c.Services, Service{Name: fmt.Sprint("v", version), Upstream: "192.168.1.101:80", ProxyProtocol: version})
			}
		})
		node.leases.wait(t, 3)
		for _, says := range []string{"", "hello"} {
			for version := range 3 {
				visitor := w.visit(fmt.Sprint(20000 + version))
				from := visitor.LocalAddr().(*net.TCPAddr).Port
				if err := writeErr(visitor, says); err != nil {
					t.Fatal(err)
				}
				closeWriteErr(visitor)
				want := [...]string{
					"",
					fmt.Sprintf("PROXY TCP4 %s %s %d 20001\r\n", visitorIP, serverIP, from),
					"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\xcb\x00\x71\x05" + string([]byte{byte(from >> 8), byte(from)}) + "\x4e\x22",
				}[version] + says
				if all := <-got; all != want {
					t.Errorf("version %d: the service got %q, want %q", version, all, want)
				}
			}
		}
	})
}
