package quicproxy_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apquic/internal/testrace"
	"apquic/lease"
)

// serveTagged serves an upstream that says its name, and then echoes.
func (w *world) serveTagged(address, name string) {
	w.serveTCP(address, func(c net.Conn) {
		io.WriteString(c, name+"\n")
		echo(c)
		c.(interface{ CloseWrite() error }).CloseWrite()
	})
}

// upstreamOf returns which upstream a client of a public port reaches.
func (w *world) upstreamOf(port string) string {
	w.t.Helper()
	c := w.visit(port)
	defer c.Close()
	line := make([]byte, 2)
	if _, err := io.ReadFull(c, line); err != nil {
		w.t.Fatalf("a client of port %s: %v", port, err)
	}
	return strings.TrimSpace(string(line))
}

// transfer sends random bytes through a client of a tagged upstream, with pauses, and compares the hash of what comes
// back. It returns the upstream's name.
func transfer(c net.Conn, seed uint64, size int) (name string, err error) {
	random := rand.New(rand.NewPCG(seed, 0))
	sent, got := sha256.New(), sha256.New()
	tag := make([]byte, 2)
	if _, err := io.ReadFull(c, tag); err != nil {
		return "", fmt.Errorf("no upstream: %w", err)
	}
	var reading sync.WaitGroup
	var failed error
	reading.Go(func() { _, failed = io.Copy(got, c) })
	for left := size; left > 0 && err == nil; {
		chunk := make([]byte, min(left, 1+random.IntN(4096)))
		for i := range chunk {
			chunk[i] = byte(random.Uint32())
		}
		left -= len(chunk)
		sent.Write(chunk)
		_, err = c.Write(chunk)
		time.Sleep(time.Duration(random.IntN(int(16 * time.Second))))
	}
	err = errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	reading.Wait()
	if err = errors.Join(err, failed); err == nil && !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		err = errors.New("other bytes came back")
	}
	return string(tag[:1]), err
}

// TestServicesChangeUnderLoad: services are moved, added, renamed and removed again and again while relays of them run,
// all of which carry every byte to the upstream with which they began.
func TestServicesChangeUnderLoad(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const size = 32 << 10
		relays := testrace.Whole(1000, 100)
		w.serveTagged("192.168.1.101:8001", "A")
		w.serveTagged("192.168.1.101:8002", "B")
		w.serveTagged("192.168.1.101:8003", "C")
		server := w.startServer()
		services := func(web, third string, more ...Service) []Service {
			return append([]Service{{Name: "web", Upstream: web}, {Name: third, Upstream: "192.168.1.101:8003"}}, more...)
		}
		node := w.startNode(func(c *NodeConfig) { c.Services = services("192.168.1.101:8001", "gone") })
		node.leases.wait(t, 2)
		var transferring sync.WaitGroup
		var names [3]atomic.Int64
		begin := func(seed int, port string) {
			c := w.visit(port)
			transferring.Go(func() {
				name, err := transfer(c, uint64(seed), size)
				if err != nil {
					t.Errorf("relay %d of %s: %v", seed, name, err)
					return
				}
				names[name[0]-'A'].Add(1)
			})
		}
		for i := range relays {
			begin(i, []string{"20000", "20000", "20000", "20001"}[i%4])
		}
		time.Sleep(2 * time.Second)
		for i := range 10 {
			web := []string{"192.168.1.101:8002", "192.168.1.101:8001"}[i%2]
			third := []string{"renamed", "gone"}[i%2]
			if err := node.node.SetServices(services(web, third, Service{Name: fmt.Sprint("more-", i), Upstream: web})); err != nil {
				t.Fatal(err)
			}
			if n := server.server.Status().Traffic[lease.Endpoint{Port: 20000}].Clients; n < relays/2 {
				t.Errorf("%d relays are left", n)
			}
			time.Sleep(6 * time.Second) // the server takes a request a second
			if got := w.upstreamOf("20000") + w.upstreamOf("20001"); got != []string{"BC", "AC"}[i%2] {
				t.Errorf("change %d: new clients reach %s", i, got)
			}
			begin(relays+i, "20000")
		}
		if err := node.node.SetServices(services("192.168.1.101:8002", "gone")[:1]); err != nil {
			t.Fatal(err)
		}
		transferring.Wait()
		if a, b, c := names[0].Load(), names[1].Load(), names[2].Load(); a != int64(relays*3/4+5) || b != 5 || c != int64(relays/4) {
			t.Errorf("%d, %d and %d relays had the upstreams", a, b, c)
		}
		if n := w.logged.count("refused"); n != 0 {
			t.Errorf("%d requests or clients were refused", n)
		}
		if n := len(node.node.Status(t.Context()).Services); n != 1 {
			t.Errorf("%d services", n)
		}
		node.stop()
		server.stop()
		count := func(what string, n int) {
			if n != 0 {
				t.Errorf("left at the end: %d %s", n, what)
			}
		}
		node.node.Inspect().Leftovers(false, count)
		server.server.Inspect().Leftovers(false, count)
	})
}
