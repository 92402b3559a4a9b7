package quicproxy_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
)

const (
	secureWeb = "192.168.1.101:443"
	plainWeb  = "192.168.1.101:80"
)

// withDomains gives the server its two ports for domains.
func (w *world) withDomains(c *ServerConfig) {
	for _, to := range []struct {
		port   string
		socket *net.Listener
	}{{"80", &c.HTTP}, {"443", &c.HTTPS}} {
		socket, err := w.machine.ListenTCP(":" + to.port)
		if err != nil {
			w.t.Fatal(err)
		}
		*to.socket = socket
	}
}

func exposeDomain(name, upstream, domain string) func(*NodeConfig) {
	return func(c *NodeConfig) {
		c.Services = append(c.Services, Service{Name: name, Upstream: upstream, Domain: domain})
	}
}

// certificate is one for itself, whose name says who serves.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS is a service that ends TLS itself, and echoes.
func (w *world) serveTLS(address, name string) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(w.t, name)}}
	w.serveTCP(address, func(c net.Conn) {
		secure := tls.Server(c, config)
		if secure.Handshake() == nil {
			echo(secure)
		}
	})
}

// visitTLS returns a TLS connection to a name, and whose certificate it saw.
func (w *world) visitTLS(name string) (c *tls.Conn, served string, err error) {
	w.t.Helper()
	c = tls.Client(w.visit("443"), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		c.Close()
		return nil, "", err
	}
	return c, c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// visitHTTP sends a request and returns the answer.
func (w *world) visitHTTP(request string) (*http.Response, string) {
	w.t.Helper()
	c := w.visit("80")
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		w.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.t.Fatalf("%q: %v", request, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response, string(body)
}

func (w *world) wantTLS(name, want string) {
	w.t.Helper()
	c, served, err := w.visitTLS(name)
	if err != nil || served != want {
		w.t.Fatalf("%s is served by %q, %v, want %q", name, served, err, want)
	}
	exchange(w.t, c, "through "+name)
	c.Close()
}

func (w *world) wantUnrecognized(name string) {
	w.t.Helper()
	if _, served, err := w.visitTLS(name); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		w.t.Errorf("%q is served by %q, %v", name, served, err)
	}
}

// TestDomains: clients get to the service whose domain they ask for, over TLS that only the upstream ends; an
// exact name goes before a wildcard; all others get an answer that says why not.
func TestDomains(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(w.withDomains)
		w.serveTLS(secureWeb, "photos")
		w.serveTLS("192.168.1.101:444", "all")
		w.serveTCP(plainWeb, func(c net.Conn) {
			request, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(request.URL.Path), request.URL.Path)
			}
		})
		node := w.startNode(
			exposeDomain("photos", secureWeb, "photos.example.org"), exposeDomain("all", "192.168.1.101:444", "*.example.org"),
			func(c *NodeConfig) {
				c.Services = append(c.Services, Service{Name: "plain", Upstream: plainWeb, Domain: "plain.example.org", PlainHTTP: true})
			}, expose("port", plainWeb))
		var addresses []string
		for _, l := range node.leases.wait(t, 4) {
			addresses = append(addresses, l.PublicAddress)
		}
		if got := strings.Join(addresses, " "); got != "https://photos.example.org https://*.example.org https://plain.example.org tcp://203.0.113.5:20000" {
			t.Errorf("the addresses are %s", got)
		}

		w.wantTLS("photos.example.org", "photos")
		w.wantTLS("Photos.Example.ORG", "photos")
		w.wantTLS("music.example.org", "all")
		for _, name := range []string{"example.org", "a.b.example.org", "photos.example.com", "", "192.0.2.1"} {
			w.wantUnrecognized(name)
		}

		response, body := w.visitHTTP("GET /a HTTP/1.1\r\nHost: plain.example.org\r\n\r\n")
		if response.StatusCode != 200 || body != "/a" {
			t.Errorf("%v %q", response, body)
		}
		response, _ = w.visitHTTP("GET /a?b HTTP/1.1\r\nHost: photos.example.org\r\n\r\n")
		if response.StatusCode != 308 || response.Header.Get("Location") != "https://photos.example.org/a?b" {
			t.Errorf("%v", response)
		}
		for _, host := range []string{"unknown.example", "a/b@c.example.org", "x y.example.org", "203.0.113.5"} {
			response, body = w.visitHTTP("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			if response.StatusCode != 404 && response.StatusCode != 400 || response.Header.Get("Location") != "" {
				t.Errorf("%s: %v %q", host, response, body)
			}
		}

		eventually(t, "nothing left of the clients", func() bool { return serverLeftovers(server.server, true) == "" })
		counters := server.server.Status().Counters
		if counters.Relays != 4 || counters.Refused != 9 || counters.Answered != 1 {
			t.Errorf("%d relays, %d refused, %d answered, want 4, 9 and 1", counters.Relays, counters.Refused, counters.Answered)
		}
	})
}

// TestDomainsOfTwoNodes: a domain is the first one's, even while it is away; the other is told why it gets none,
// and gets it after a release.
func TestDomainsOfTwoNodes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(w.withDomains)
		w.serveTLS(secureWeb, "first")
		w.serveTLS("192.168.1.101:444", "second")
		first := w.startNode(exposeDomain("web", secureWeb, "www.example.org"))
		first.leases.wait(t, 1)
		second := w.startNode(exposeDomain("web", "192.168.1.101:444", "www.example.org"), func(c *NodeConfig) { c.Key = newKey(t) })
		refused := func() error { return second.node.Status(t.Context()).Services[0].Refusal }
		eventually(t, "refused", func() bool { return refused() != nil })
		failure, ok := errors.AsType[*quicproxy.FailureError](refused())
		if !ok || failure.Code != framing.ErrorDomainTaken || !strings.Contains(failure.Text, "www.example.org belongs to another node") || failure.Advice == "" {
			t.Errorf("%v", refused())
		}
		w.wantTLS("www.example.org", "first")

		first.stop()
		eventually(t, "the first gone", func() bool { return len(server.server.Status().Sessions) == 1 })
		if _, served, err := w.visitTLS("www.example.org"); err == nil {
			t.Errorf("while its node is away, %s serves", served)
		}
		for _, l := range server.server.Status().Leases {
			if l.Domain != "" {
				if err := server.server.Forget(t.Context(), l.Key); err != nil {
					t.Error(err)
				}
			}
		}
		second.leases.wait(t, 1)
		w.wantTLS("www.example.org", "second")
	})
}

// TestDomainsSurviveRestart: after a restart of the server the domain is its node's, and clients that come
// meanwhile wait.
func TestDomainsSurviveRestart(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(w.withDomains)
		w.serveTLS(secureWeb, "first")
		node := w.startNode(exposeDomain("web", secureWeb, "www.example.org"))
		node.leases.wait(t, 1)
		w.wantTLS("www.example.org", "first")
		w.crash(server)
		server = w.startServer(w.withDomains)
		w.startNode(exposeDomain("web", secureWeb, "www.example.org"), func(c *NodeConfig) { c.Key = newKey(t) })
		w.wantTLS("www.example.org", "first") // it waited for the node
		if got := server.server.Status().Counters.Relays; got != 1 {
			t.Errorf("%d relays", got)
		}
	})
}

// TestNoDomains: a server without ports for them leases none, and says so; nor does one that does not know them.
func TestNoDomains(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		node := w.startNode(exposeDomain("web", plainWeb, "www.example.org"), exposeDomain("address", plainWeb, "192.0.2.1"))
		for i, want := range []string{"this server leases no domains", "this server leases no domains"} {
			refusal := func() error { return node.node.Status(t.Context()).Services[i].Refusal }
			eventually(t, "refused", func() bool { return refusal() != nil })
			if !strings.Contains(refusal().Error(), want) {
				t.Errorf("%v, want %q", refusal(), want)
			}
		}
	})
}

// TestBadDomains: what is no domain is refused with a reason.
func TestBadDomains(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(w.withDomains)
		node := w.startNode(exposeDomain("address", plainWeb, "192.0.2.1"), exposeDomain("name", plainWeb, "localhost"))
		for i, want := range []string{"is an IP address", "two parts"} {
			refusal := func() error { return node.node.Status(t.Context()).Services[i].Refusal }
			eventually(t, "refused", func() bool { return refusal() != nil })
			failure, ok := errors.AsType[*quicproxy.FailureError](refusal())
			if !ok || failure.Code != framing.ErrorBadDomain || !strings.Contains(failure.Text, want) {
				t.Errorf("%v, want %q", refusal(), want)
			}
		}
	})
}

// TestDomainsWithoutTLS: a server with a port for HTTP alone passes every name on.
func TestDomainsWithoutTLS(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(w.withDomains, func(c *ServerConfig) {
			c.HTTPS.Close()
			c.HTTPS = nil
		})
		w.serveTCP(plainWeb, func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nhello")
		})
		node := w.startNode(exposeDomain("web", plainWeb, "www.example.org"))
		if got := node.leases.wait(t, 1)[0].PublicAddress; got != "http://www.example.org" {
			t.Errorf("the address is %s", got)
		}
		if response, body := w.visitHTTP("GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n"); response.StatusCode != 200 || body != "hello" {
			t.Errorf("%v %q", response, body)
		}
	})
}

// slowClients are ways to take long until it is known which domain a client is for: what is sent every second,
// again and again.
var slowClients = map[string]struct {
	port, first, again string
}{
	"says nothing on 443":   {"443", "", ""},
	"says nothing on 80":    {"80", "", ""},
	"slow loris":            {"80", "GET / HTTP/1.1\r\nHost: www.example.org\r\n", "X: y\r\n"},
	"trickles a request":    {"80", "G", "x"},
	"trickles a hello":      {"443", "\x16\x03\x01\x40\x00\x01\x00\x10\x00", "\x00"},
	"endless hello":         {"443", "\x16\x03\x01\x00\x04\x01\x00\xff\xff", "\x16\x03\x01\x00\x01\x00"},
	"records of no bytes":   {"443", "\x16\x03\x01\x00\x04\x01\x00\xff\xff", "\x16\x03\x01\x00\x00"},
	"request without a end": {"80", "GET / HTTP/1.1\r\nX: ", strings.Repeat("x", 1000)},
	"HTTP/0.9":              {"80", "GET /\r\n", ""},
}

// TestSlowClientsOfDomains: whoever does not say in time for which domain a connection is loses it, and meanwhile
// keeps no place from others and costs a bounded amount of memory.
func TestSlowClientsOfDomains(t *testing.T) {
	for name, test := range slowClients {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				const slow = 40
				server := w.startServer(w.withDomains, func(c *ServerConfig) { c.MaxClientsPerAddress, c.Memory = slow, 64<<20 })
				w.serveTLS(secureWeb, "web")
				w.startNode(exposeDomain("web", secureWeb, "www.example.org")).leases.wait(t, 1)
				attacker := w.net.Host("198.51.100.99")
				begun := time.Now()
				ended := make(chan time.Duration, 2*slow)
				for range 2 * slow {
					c, err := attacker.DialTCP(t.Context(), serverIP+":"+test.port)
					if err != nil {
						t.Fatal(err)
					}
					go func() {
						defer c.Close()
						go func() {
							io.WriteString(c, test.first)
							for time.Since(begun) < time.Minute {
								time.Sleep(time.Second)
								if _, err := io.WriteString(c, test.again); err != nil {
									return
								}
							}
						}()
						io.Copy(io.Discard, c)
						ended <- time.Since(begun)
					}()
				}
				time.Sleep(2 * time.Second)
				if open := server.server.Inspect().Clients.Open(); open > slow {
					t.Errorf("%d clients of one address", open)
				}
				if used := server.server.Inspect().Memory.Used(); used > slow*64<<10+1<<20 {
					t.Errorf("they cost %d bytes", used)
				}
				w.wantTLS("www.example.org", "web")
				for range 2 * slow {
					if took := <-ended; took > 15*time.Second {
						t.Errorf("one stayed for %v", took)
					}
				}
				time.Sleep(time.Minute)
				if left := serverLeftovers(server.server, true); left != "" {
					t.Errorf("left is %s", left)
				}
			})
		})
	}
}

// TestDomainsUnderMemoryPressure: clients whose domain is not known yet cost memory of their address's account,
// and are refused when there is none.
func TestDomainsUnderMemoryPressure(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(w.withDomains, func(c *ServerConfig) { c.Memory = 8 << 20 })
		w.serveTLS(secureWeb, "web")
		w.startNode(exposeDomain("web", secureWeb, "www.example.org")).leases.wait(t, 1)
		attacker := w.net.Host("198.51.100.99")
		for range 400 {
			c, err := attacker.DialTCP(t.Context(), serverIP+":443")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		synctest.Wait()
		if used, most := server.server.Inspect().Memory.Used(), int64(8<<20); used > most || used < 2<<20 {
			t.Errorf("%d bytes are in use", used)
		}
		w.wantTLS("www.example.org", "web")
	})
}

// TestStopWithSlowClients: a server that stops does not wait for clients whose domain it does not know.
func TestStopWithSlowClients(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(w.withDomains)
		for _, port := range []string{"80", "443"} {
			w.visit(port)
		}
		time.Sleep(time.Second)
		begun := time.Now()
		server.stop()
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestNodeDoesNotTakeDomains: whatever a hostile node asks for, it gets no client of another's domain.
func TestNodeDoesNotTakeDomains(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(w.withDomains)
		w.serveTLS(secureWeb, "web")
		w.startNode(exposeDomain("web", secureWeb, "www.example.org"), exposeDomain("all", secureWeb, "*.home.example.org")).leases.wait(t, 2)
		w.serveTLS("192.168.1.101:444", "hostile")
		hostile := newKey(t)
		for i, domain := range []string{
			"www.example.org", "WWW.example.org", "www.example.org.", "www.example.org\x00", "*.example.org", "tv.home.example.org",
		} {
			node := w.startNode(exposeDomain(fmt.Sprint("web", i), "192.168.1.101:444", domain), func(c *NodeConfig) { c.Key = hostile })
			time.Sleep(10 * time.Second)
			w.wantTLS("www.example.org", "web")
			w.wantTLS("tv.home.example.org", "web")
			node.stop()
		}
	})
}

// TestAcceptedDomain: a program can accept the clients of a domain, knows which of them speak TLS and where they
// come from, and takes no more than it has memory for.
func TestAcceptedDomain(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(w.withDomains)
		const cost = 1 << 20
		node := w.startNode(func(c *NodeConfig) {
			c.Memory = 64 << 20
			c.Services = append(c.Services, Service{
				Name: "web", Upstream: plainWeb, Domain: "www.example.org", PlainHTTP: true, Accept: true, AcceptCost: cost,
			})
		})
		node.leases.wait(t, 1)
		listener := node.node.Listener("web")
		if node.node.Listener("other") != nil {
			t.Error("there is a listener for a service that does not exist")
		}
		for port, text := range map[string]string{"443": "", "80": "GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n"} {
			visitor := w.visit(port)
			if port == "443" {
				go tls.Client(visitor, &tls.Config{ServerName: "www.example.org"}).Handshake()
			}
			io.WriteString(visitor, text)
			c, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if c.(interface{ TLS() bool }).TLS() != (port == "443") || !strings.HasPrefix(c.RemoteAddr().String(), visitorIP+":") || c.LocalAddr().String() != serverIP+":"+port {
				t.Errorf("port %s: %v to %v", port, c.RemoteAddr(), c.LocalAddr())
			}
			first := make([]byte, 1)
			if _, err := io.ReadFull(c, first); err != nil || (first[0] == 22) != (port == "443") {
				t.Errorf("port %s: %q, %v", port, first, err)
			}
			c.Close()
			visitor.Close()
		}
		for range 100 {
			go io.WriteString(w.visit("80"), "GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
		}
		time.Sleep(time.Second)
		if used := node.node.Inspect().Memory.Used(); used > 64<<20 || used < 10*cost {
			t.Errorf("they cost %d bytes", used)
		}
		listener.Close()
		eventually(t, "nothing left", func() bool { return nodeLeftovers(node.node, true) == "" })
	})
}

// TestServerWithoutDomains: a node does not ask a server that would ignore the domain and lease a port, and says
// why; its other services work.
func TestServerWithoutDomains(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var asked []string
		scriptedServer(w, func(control *conn.ControlStream, e framing.Envelope) error {
			if e.Opcode == framing.OpProxyRequest {
				request := new(framing.ProxyRequest)
				if err := e.Decode(request); err != nil {
					return err
				}
				mu.Lock()
				asked = append(asked, request.Service)
				mu.Unlock()
			}
			return politely(&framing.Welcome{Features: []uint32{1, 2, 3}, Instance: 1}, &framing.Failure{Code: uint64(framing.ErrorRangeFull)})(control, e)
		})
		node := w.startNode(exposeDomain("web", plainWeb, "www.example.org"), expose("port", plainWeb))
		refusal := func() error { return node.node.Status(t.Context()).Services[0].Refusal }
		eventually(t, "refused", func() bool { return refusal() != nil })
		if failure, ok := errors.AsType[*quicproxy.FailureError](refusal()); !ok || failure.Code != framing.ErrorNoDomains || failure.Advice == "" {
			t.Errorf("%v", refusal())
		}
		mu.Lock()
		defer mu.Unlock()
		if slices.Contains(asked, "web") || !slices.Contains(asked, "port") {
			t.Errorf("the server was asked for %q", asked)
		}
	})
}
