//go:build linux

package hostile

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

const (
	budget     = 32 << 20
	budgetFlag = "32MiB"
	// mayCost is the most that a program may take beyond what it takes when idle: the budget plus a fifth.
	mayCost = budget + budget/5
	// trickling is how long an attack lasts.
	trickling = 8 * time.Second
)

// greedyService sends endlessly to clients that first send an x, and is an echo for others.
func greedyService(t *testing.T) string {
	return service(t, func(c net.Conn) {
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err != nil {
			return
		}
		if first[0] != 'x' {
			c.Write(first)
			io.Copy(c, c)
			return
		}
		send(c)
	})
}

// send sends endlessly.
func send(c net.Conn) {
	for b := make([]byte, 64<<10); ; {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// clients dials n times and runs each connection separately; they end with the test.
func clients(t *testing.T, public string, n int, run func(net.Conn)) {
	t.Helper()
	var running sync.WaitGroup
	var all []net.Conn
	for range n {
		c, err := net.DialTimeout("tcp", public, maxWait)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		running.Go(func() { run(c) })
	}
	t.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
		running.Wait()
	})
}

// readAtTimes asks for endless data and reads so much of it at a time.
func readAtTimes(size int, every time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		c.(*net.TCPConn).SetReadBuffer(64 << 10)
		c.Write([]byte("x"))
		for b := make([]byte, size); ; {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			time.Sleep(every)
		}
	}
}

// Clients that read slowly make the node keep, and the server hold, no more than the budget.
func TestClientsThatTrickle(t *testing.T) {
	server, invitation := startServer(t, "--memory", budgetFlag)
	node, public := startNode(t, invitation, greedyService(t), "--memory", budgetFlag)
	neighbour := newNeighbour(t, public)
	time.Sleep(time.Second)
	stopServer, stopNode := server.watch(server.cost()), node.watch(node.cost())
	clients(t, public, 32, readAtTimes(64<<10, 1500*time.Millisecond))
	time.Sleep(trickling)
	checkMemory(t, stopServer, stopNode)
	neighbour.wasServed(50*time.Millisecond, 2*time.Second)
}

func checkMemory(t *testing.T, ofServer, ofNode func() int64) {
	t.Helper()
	for name, stop := range map[string]func() int64{"server": ofServer, "node": ofNode} {
		if took := stop(); took > mayCost {
			t.Errorf("the %s took %d KiB, more than %d KiB", name, took>>10, mayCost>>10)
		} else {
			t.Logf("the %s took %d KiB of %d KiB", name, took>>10, mayCost>>10)
		}
	}
}

// ownService makes the peer expose a service and returns its public address.
func (p *peer) ownService(name string) string {
	p.t.Helper()
	p.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: name, OriginAddress: "tcp://127.0.0.1:1", Movable: true})
	for {
		envelope := p.read()
		if envelope.Opcode != framing.OpProxyResponse {
			continue
		}
		var response framing.ProxyResponse
		if err := envelope.Decode(&response); err != nil {
			p.t.Fatal(err)
		}
		return strings.TrimPrefix(response.ProxyAddress, "tcp://")
	}
}

// A node that reads everything at once but acks one byte every two seconds makes the server keep no more than
// the budget.
func TestNodeThatTrickles(t *testing.T) {
	server, invitation := startServer(t, "--memory", budgetFlag)
	p := join(t, invitation, newKey(t), &framing.Hello{Instance: 7, Features: []uint32{uint32(framing.FeatureMovingRelays)}})
	public := p.ownService("web")
	time.Sleep(time.Second)
	stop := server.watch(server.cost())
	ended := make(chan struct{})
	relays := make(chan uint64, 64)
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			stream, err := p.conn.AcceptStream(p.conn.Context())
			if err != nil {
				return
			}
			reading.Go(func() {
				header, err := framing.ReadStreamHeader(stream)
				if err != nil {
					return
				}
				relays <- header.Relay
				io.Copy(io.Discard, stream)
			})
		}
	})
	reading.Go(func() {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		var known []uint64
		for confirmed := uint64(1); ; confirmed++ {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			for len(relays) > 0 {
				known = append(known, <-relays)
			}
			message := new(framing.Progress)
			for _, relay := range known {
				message.Relays = append(message.Relays, &framing.RelayProgress{Relay: relay, Received: confirmed})
			}
			if p.trySend(framing.OpProgress, message, 0) != nil {
				return
			}
		}
	})
	t.Cleanup(func() { close(ended); p.conn.CloseWithError(0, ""); reading.Wait() })
	clients(t, public, 32, send)
	time.Sleep(trickling)
	checkMemory(t, stop, func() int64 { return 0 })
}

// A node that sends small pieces, which take eleven times their size, to clients that do not read costs the
// server no more than the budget.
func TestNodeThatSendsPieces(t *testing.T) {
	smallSocketBuffers(t)
	server, invitation := startServer(t, "--memory", budgetFlag)
	p := join(t, invitation, newKey(t), &framing.Hello{Instance: 7, Features: []uint32{uint32(framing.FeatureMovingRelays)}})
	public := p.ownService("web")
	time.Sleep(time.Second)
	stop := server.watch(server.cost())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			stream, err := p.conn.AcceptStream(p.conn.Context())
			if err != nil {
				return
			}
			serving.Go(func() { sendPieces(stream) })
		}
	})
	t.Cleanup(func() { p.conn.CloseWithError(0, ""); serving.Wait() })
	// They never read: data fills the buffers of their sockets, and then the streams.
	clients(t, public, 200, func(c net.Conn) { c.(*net.TCPConn).SetReadBuffer(4 << 10) })
	time.Sleep(trickling)
	checkMemory(t, stop, func() int64 { return 0 })
}

// smallSocketBuffers keeps the kernel from using megabytes for clients that do not read, in this namespace.
func smallSocketBuffers(t *testing.T) {
	t.Helper()
	const file = "/proc/sys/net/ipv4/tcp_wmem"
	if os.Getenv(insideVariable) == "" {
		t.Skip("not in a network namespace")
	}
	before, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte("4096 4096 4096"), 0)
	}
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.WriteFile(file, before, 0) })
}

// sendPieces sends pieces of 128 bytes. Two writes share a frame only if the first has not been sent by then.
func sendPieces(stream *quic.Stream) {
	for b := make([]byte, 128); ; {
		if _, err := stream.WriteWithLimit(b, func(n int) int { return n }); err != nil {
			return
		}
	}
}
