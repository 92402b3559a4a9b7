package quicproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// says is a web server that says the same to all.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }
}

// TestTerminationMoves: a browser that keeps its connection reaches whoever has the domain now, after one answer that
// the service cannot be reached, and no service gets bytes that were meant for another way to end TLS.
func TestTerminationMoves(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", http2), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				const otherWeb, otherTLS = "192.168.1.101:8080", "192.168.1.101:8443"
				_, termination := w.withTermination(t)
				server := w.startServer(termination)
				var plain, encrypted atomic.Int64
				w.serveHTTP(plainWeb, says("first"))
				w.serveHTTP(otherWeb, says("other"))
				w.serveTCP(otherTLS, func(c net.Conn) {
					first := make([]byte, 1)
					if io.ReadFull(c, first); first[0] == 0x16 {
						encrypted.Add(1)
					} else {
						plain.Add(1)
					}
				})
				leave := func(node *running) {
					node.stop()
					eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })
				}
				browser := w.browser(http2)
				node := w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2))
				node.leases.wait(t, 1)
				if status, body := fetch(t, browser, "https://www.example.org/"); body != "first" {
					t.Fatal(status, body)
				}
				leave(node)
				for _, l := range server.server.Status().Leases {
					if err := server.server.Forget(t.Context(), l.Key); err != nil {
						t.Error(err)
					}
				}
				key := newKey(t)
				node = w.startNode(func(c *NodeConfig) { c.Key = key }, exposeEnded("web", otherWeb, "www.example.org", 2))
				node.leases.wait(t, 1)
				fetch(t, browser, "https://www.example.org/")
				if status, body := fetch(t, browser, "https://www.example.org/"); body != "other" {
					t.Errorf("after the domain has moved: %d %q", status, body)
				}
				leave(node)
				w.startNode(func(c *NodeConfig) { c.Key = key }, exposeDomain("web", otherTLS, "www.example.org")).leases.wait(t, 1)
				for range 2 {
					if response, err := browser.Get("https://www.example.org/"); err == nil {
						response.Body.Close()
					}
					time.Sleep(time.Second)
				}
				if plain.Load() > 0 || encrypted.Load() == 0 {
					t.Errorf("a service that ends TLS itself got it %d times, and %d times something else", encrypted.Load(), plain.Load())
				}
			})
		})
	}
}

// TestOneNameOfConnection: who came for one name of a wildcard cannot ask its service for a name of another node over
// the same connection, also without TLS.
func TestOneNameOfConnection(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		w.startServer(termination)
		w.serveHTTP(plainWeb, says("wildcard"))
		expose := func(domain string) func(*NodeConfig) {
			return func(c *NodeConfig) {
				c.Services = append(c.Services, Service{Name: "web", Upstream: plainWeb, Domain: domain, TLS: 2, PlainHTTP: true})
			}
		}
		key := newKey(t)
		w.startNode(expose("bank.home.example.org"), func(c *NodeConfig) { c.Key = key }).leases.wait(t, 1) // before the wildcard
		w.startNode(expose("*.home.example.org")).leases.wait(t, 1)
		c := w.visit("80")
		defer c.Close()
		reader := bufio.NewReader(c)
		for _, request := range []struct {
			host   string
			status int
		}{{"tv.home.example.org", 200}, {"TV.home.example.org.", 200}, {"bank.home.example.org", http.StatusMisdirectedRequest}} {
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", request.host)
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, response.Body)
			if response.StatusCode != request.status {
				t.Errorf("%s: %s", request.host, response.Status)
			}
		}
	})
}

// TestTerminatedEvents: where the server ends TLS, each event reaches the client before the next one is sent, the service
// learns that the client has left, and a WebSocket carries bytes both ways for as long as both want it.
func TestTerminatedEvents(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination)
		next, ended := make(chan string), make(chan struct{})
		w.serveHTTP(plainWeb, func(rw http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(rw)
			if r.Header.Get("Upgrade") == "websocket" {
				c, buffered, err := control.Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				io.Copy(c, buffered)
				return
			}
			rw.Header().Set("Content-Type", "text/event-stream")
			control.Flush()
			for {
				select {
				case event := <-next:
					io.WriteString(rw, event+"\n\n")
					control.Flush()
				case <-r.Context().Done():
					ended <- struct{}{}
					return
				}
			}
		})
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
		for _, http2 := range []bool{false, true} {
			response, err := w.browser(http2).Get("https://www.example.org/events")
			if err != nil {
				t.Fatal(err)
			}
			events := bufio.NewReader(response.Body)
			for i := range 3 {
				want := fmt.Sprintln("data:", i)
				next <- strings.TrimSpace(want)
				if got, err := events.ReadString('\n'); got != want || err != nil {
					t.Errorf("HTTP/2 %v: %q, %v, want %q", http2, got, err, want)
				}
				events.ReadString('\n')
			}
			response.Body.Close()
			<-ended
		}
		c, _, err := w.visitTLS("www.example.org")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: www.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", response, err)
		}
		exchange(t, c, "through a socket")
		time.Sleep(time.Hour)
		c.SetDeadline(time.Now().Add(time.Minute))
		exchange(t, c, "also after an hour")
		c.Close()
		eventually(t, "nothing left", func() bool { return serverLeftovers(server.server, true) == "" })
	})
}
