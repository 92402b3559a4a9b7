package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// ports allocates port numbers below those that the system gives to clients, so that concurrent scripts do
// not collide.
var ports struct {
	mu   sync.Mutex
	next int
}

func freeports(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: freeports VARIABLE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	first, err := takePorts(n)
	ts.Check(err)
	text := strconv.Itoa(first)
	if n > 1 {
		text += "-" + strconv.Itoa(first+n-1)
	}
	ts.Setenv(args[0], text)
	for i := range n {
		ts.Setenv(args[0]+strconv.Itoa(i+1), strconv.Itoa(first+i))
	}
}

func takePorts(n int) (first int, err error) {
	const low, high = 12000, 32000
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.next == 0 { // another run of this test may be going on
		start, err := rand.Int(rand.Reader, big.NewInt(high-low))
		if err != nil {
			return 0, err
		}
		ports.next = low + int(start.Int64())
	}
	for range high - low {
		first = ports.next
		if first+n > high {
			ports.next = low
			continue
		}
		ports.next += n
		if allFree(first, n) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports", n)
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		tcp, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		if err != nil {
			return false
		}
		tcp.Close()
		udp, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			return false
		}
		udp.Close()
	}
	return true
}

func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy PORT")
	}
	listener, err := net.Listen("tcp", ":"+args[0])
	ts.Check(err)
	w := worldOf(ts)
	if w.occupied == nil {
		w.occupied = map[string]io.Closer{}
	}
	w.occupied[args[0]] = listener
}

func leave(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || worldOf(ts).occupied[args[0]] == nil {
		ts.Fatalf("usage: leave PORT, one that was occupied")
	}
	ts.Check(worldOf(ts).occupied[args[0]].Close())
	delete(worldOf(ts).occupied, args[0])
}

func garbage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: garbage ADDRESS N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	socket, err := net.Dial("udp", args[0])
	ts.Check(err)
	defer socket.Close()
	for i := range n {
		datagram := make([]byte, 1+i*1199/n)
		rand.Read(datagram)
		if i%2 == 0 {
			datagram[0] |= 0xc0 // looks like a long header of QUIC
		}
		_, err := socket.Write(datagram)
		ts.Check(err)
	}
}

func datagram(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: datagram PORT")
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:"+args[0])
	ts.Check(err)
	defer socket.Close()
	socket.SetReadDeadline(time.Now().Add(maxWait))
	_, _, err = socket.ReadFrom(make([]byte, 1))
	ts.Check(err)
}
