//go:build linux

package netns

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

const (
	// flowPause is between two datagrams of a visitor, as of a game.
	flowPause = 50 * time.Millisecond
	// flowLimit is how long a visitor over UDP may go without an answer when the node's address changes. If only
	// the visitor sends, the node notices by its next keepalive.
	flowLimit = keepalive + 1500*time.Millisecond
)

// TestFlow: a visitor over UDP keeps his place at the service, which is the port that it sees him come from, when the
// NAT forgets its mappings and when the server is killed and restarted.
func TestFlow(t *testing.T) {
	t.Parallel()
	w := newTunnel(t)
	visitor := w.visitOverUDP()
	before, _ := visitor.ask(maxWait)
	for range rebindings {
		w.uplinks[0].forget()
		after, took := visitor.ask(maxWait)
		if after != before || took > flowLimit {
			t.Errorf("rebind: %v without an answer, want at most %v; the service saw port %s, then %s", took, flowLimit, before, after)
		}
	}
	w.checkOneConnection()
	w.server.kill()
	w.startServer()
	w.server.await(`(listening for nodes)`)
	if after, took := visitor.ask(maxWait); after != before {
		t.Errorf("restart: after %v the service saw port %s instead of %s", took, after, before)
	}
}

// udpVisitor is a visitor over UDP.
type udpVisitor struct {
	*tunnel
	net.Conn
	asked int
}

// serveUDP starts a service at home that answers with the port of whoever asks, and the question.
func serveUDP(at *namespace) (address string) {
	var socket *net.UDPConn
	err := at.do(func() (err error) {
		socket, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		return err
	})
	if err != nil {
		at.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buffer := make([]byte, 1500); ; {
			n, from, err := socket.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			socket.WriteToUDPAddrPort(fmt.Appendf(nil, "%d %s", from.Port(), buffer[:n]), from)
		}
	}()
	at.t.Cleanup(func() { socket.Close(); <-done })
	return socket.LocalAddr().String()
}

func (w *tunnel) visitOverUDP() *udpVisitor {
	w.t.Helper()
	v := &udpVisitor{tunnel: w}
	err := w.public.do(func() (err error) {
		v.Conn, err = net.Dial("udp", w.overUDP)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { v.Close() })
	return v
}

// ask sends until an answer to something that it sent comes, and returns the port that the service saw, and how long
// that took.
func (v *udpVisitor) ask(limit time.Duration) (port string, took time.Duration) {
	v.t.Helper()
	first, begin, buffer := v.asked+1, time.Now(), make([]byte, 1500)
	for time.Since(begin) < limit {
		v.asked++
		fmt.Fprint(v.Conn, v.asked) // an error is that of an earlier one, while the server is away
		v.SetReadDeadline(time.Now().Add(flowPause))
		n, err := v.Read(buffer)
		if err != nil {
			time.Sleep(flowPause / 5)
			continue
		}
		var number int
		port, text, _ := strings.Cut(string(buffer[:n]), " ")
		if fmt.Sscan(text, &number); number >= first {
			return port, time.Since(begin)
		}
	}
	v.t.Fatalf("no answer for %v", limit)
	return "", 0
}
