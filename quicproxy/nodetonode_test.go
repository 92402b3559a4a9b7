package quicproxy_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// TestNodeToNode goes through the seven steps of the data transfer section of the PROXY protocol: two nodes
// exchange messages through each other's proxy addresses, in both directions at once.
func TestNodeToNode(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		home2 := w.net.NAT("192.0.2.2").Host("10.0.0.2")

		// 1 and 2: each node has its main connection.
		received1, received2 := make(chan string, 100), make(chan string, 100)
		serveTCP(t, w.home, "192.168.1.101:7000", receiver(received1))
		serveTCP(t, home2, "10.0.0.2:7000", receiver(received2))
		node1 := w.startNode(expose("inbox", "192.168.1.101:7000"))
		proxy1 := node1.leases.wait(t, 1)[0].PublicAddress
		node2 := w.startNode(expose("inbox", "10.0.0.2:7000"), func(c *NodeConfig) {
			c.Key = newKey(t)
			c.ListenPacket = func() (net.PacketConn, error) { return home2.ListenUDP(0) }
			c.DialUpstream = func(ctx context.Context, _, address string) (net.Conn, error) { return home2.DialTCP(ctx, address) }
		})
		proxy2 := node2.leases.wait(t, 1)[0].PublicAddress
		if n := len(server.server.Status().Sessions); n != 2 {
			t.Fatalf("%d main connections, want 2", n)
		}

		// 3 and 4: a proxy server listens for each.
		if proxy1 != "tcp://"+serverIP+":20000" || proxy2 != "tcp://"+serverIP+":20001" {
			t.Fatalf("proxy servers at %s and %s", proxy1, proxy2)
		}

		// 5: each node connects to the other's proxy server.
		connection3, err := w.home.DialTCP(t.Context(), serverIP+":20001")
		if err != nil {
			t.Fatal(err)
		}
		connection4, err := home2.DialTCP(t.Context(), serverIP+":20000")
		if err != nil {
			t.Fatal(err)
		}

		// 6 and 7, at once: what node 1 sends on connection 3 arrives over the main connection of node 2, and
		// vice versa.
		var sending sync.WaitGroup
		for range 50 {
			sending.Go(func() { io.WriteString(connection3, "from node 1\n") })
			sending.Go(func() { io.WriteString(connection4, "from node 2\n") })
		}
		sending.Wait()
		connection3.Close()
		connection4.Close()
		for range 50 {
			if got := <-received2; got != "from node 1\n" {
				t.Errorf("node 2 received %q", got)
			}
			if got := <-received1; got != "from node 2\n" {
				t.Errorf("node 1 received %q", got)
			}
		}
		time.Sleep(time.Second)
		if extra := len(received1) + len(received2); extra > 0 {
			t.Errorf("%d messages too many", extra)
		}
	})
}

// receiver puts the messages of a connection, 12 bytes each, into a channel.
func receiver(received chan<- string) func(net.Conn) {
	return func(c net.Conn) {
		message := make([]byte, 12)
		for {
			if _, err := io.ReadFull(c, message); err != nil {
				return
			}
			received <- string(message)
		}
	}
}
