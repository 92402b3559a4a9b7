//go:build linux

package hostile

import (
	"net"
	"os"
	"testing"
	"time"
)

// The first burst of many readers that read nothing.
func TestFirstBurst(t *testing.T) {
	flag := os.Getenv("BURST_MEMORY")
	server, invitation := startServer(t, "--memory", flag)
	node, public := startNode(t, invitation, greedyService(t), "--memory", flag)
	time.Sleep(time.Second)
	stopServer, stopNode := server.watch(server.cost()), node.watch(node.cost())
	clients(t, public, 500, func(c net.Conn) { c.(*net.TCPConn).SetReadBuffer(4 << 10); c.Write([]byte("x")) })
	time.Sleep(trickling)
	t.Logf("%s: server %d KiB, node %d KiB", flag, stopServer()>>10, stopNode()>>10)
}
