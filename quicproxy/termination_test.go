package quicproxy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"apquic/certs"
	"apquic/framing"
	site "apquic/internal/web"
	"apquic/quicproxy"
)

// terminator ends TLS with one certificate, for all domains but those of refused.example.org.
type terminator struct {
	site   *site.Site
	config *tls.Config

	demands, password bool // of those who come for secret.example.org, or names of the server's own

	mu     sync.Mutex
	wanted map[string]int // by domain and node
}

func newTerminator(t *testing.T) *terminator {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t, "server")}}
	return &terminator{site: site.New(site.Config{Log: slog.New(slog.DiscardHandler)}), config: config, wanted: make(map[string]int)}
}

func (e *terminator) Check(domain string) error {
	if strings.HasSuffix(domain, "refused.example.org") {
		return errors.New("there is no certificate for " + domain)
	}
	return nil
}

func (e *terminator) Login(domain string) (demanded, password bool) {
	if domain != "secret.example.org" && !strings.HasSuffix(domain, ".tunnel.example.org") {
		return false, false
	}
	return e.demands, e.password
}

func (e *terminator) Want(domain, node string)   { e.count(domain, node, 1) }
func (e *terminator) Forget(domain, node string) { e.count(domain, node, -1) }

func (e *terminator) count(domain, node string, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wanted[domain+" "+node[:8]] += n
}

func (e *terminator) TLS(http bool) *tls.Config {
	config := e.config.Clone()
	if http {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	return config
}

func (e *terminator) Challenge(domain, path string) ([]byte, bool) {
	token, ok := strings.CutPrefix(path, "/.well-known/acme-challenge/")
	return []byte(token + " of " + domain), ok
}

func (e *terminator) Serve(client net.Conn) { e.site.ServeVisitor(client) }

// withTermination gives the server ports for domains, and has it end TLS.
func (w *world) withTermination(t *testing.T) (*terminator, func(*ServerConfig)) {
	e := newTerminator(t)
	return e, func(c *ServerConfig) {
		w.withDomains(c)
		c.Terminator, c.Domain = e, "tunnel.example.org"
	}
}

// shortOf is the short id of a node, as docs/protocol.md section 8.5 says.
func shortOf(key certs.PrivateKey) string {
	id := key.ID()
	return strings.ToLower(base32.StdEncoding.EncodeToString(id[:10]))
}

func exposeEnded(name, upstream, domain string, tls uint32) func(*NodeConfig) {
	return func(c *NodeConfig) {
		c.Services = append(c.Services, Service{Name: name, Upstream: upstream, Domain: domain, TLS: tls})
	}
}

// serveHTTP is a web server that says what it gets; /slow waits until the request ends.
func (w *world) serveHTTP(address string, handler http.HandlerFunc) {
	if handler == nil {
		handler = func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(rw, "%s %s%s %s %d %s %s", r.Method, r.Host, r.URL, r.Proto, len(body), r.Header.Get("Forwarded"), r.Header.Get("X-Forwarded-For"))
		}
	}
	server := &http.Server{Handler: handler}
	w.serveTCP(address, func(c net.Conn) {
		l := &single{Conn: c, closed: make(chan struct{})}
		server.Serve(l)
	})
}

// single is a connection, and a listener that accepts it alone.
type single struct {
	net.Conn
	accepted, once sync.Once
	closed         chan struct{}
}

func (l *single) Accept() (c net.Conn, err error) {
	l.accepted.Do(func() { c = l })
	if c == nil {
		<-l.closed
		err = net.ErrClosed
	}
	return c, err
}

func (l *single) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

func (l *single) Addr() net.Addr { return l.LocalAddr() }

// browser is a client of names.
func (w *world) browser(http2 bool) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			return w.visitor.DialTCP(ctx, serverIP+":"+port)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func fetch(t *testing.T, client *http.Client, url string, header ...string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return response.StatusCode, string(text)
}

// TestTermination: the server ends TLS and HTTP for a domain whose service asks for it, with both versions of HTTP,
// and tells the service who came, whatever that says; and TLS alone for another.
func TestTermination(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		ending, termination := w.withTermination(t)
		server := w.startServer(termination)
		w.serveHTTP(plainWeb, nil)
		w.serveTCP("192.168.1.101:22", echo)
		node := w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2), exposeEnded("shell", "192.168.1.101:22", "shell.example.org", 3))
		node.leases.wait(t, 2)
		for _, http2 := range []bool{false, true} {
			browser := w.browser(http2)
			for range 2 {
				status, body := fetch(t, browser, "https://www.example.org/a?b", "Forwarded", "for=evil", "X-Forwarded-For", "evil", "X-Real-Ip", "evil")
				want := `GET www.example.org/a?b HTTP/1.1 0 for=` + visitorIP + `;host="www.example.org";proto=https ` + visitorIP
				if status != 200 || body != want {
					t.Errorf("HTTP/2 %v: %d %q, want %q", http2, status, body, want)
				}
			}
			if status, _ := fetch(t, browser, "http://www.example.org/a"); !http2 && status != 308 {
				t.Errorf("without TLS: %d", status)
			}
			browser.CloseIdleConnections()
		}
		_, body := w.visitHTTP("GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
		if body != "token of www.example.org" {
			t.Errorf("an authority gets %q", body)
		}
		c, served, err := w.visitTLS("shell.example.org")
		if err != nil || served != "server" {
			t.Fatalf("%q, %v", served, err)
		}
		exchange(t, c, "through the shell")
		c.CloseWrite()
		if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
			t.Errorf("after its end: %q, %v", rest, err)
		}
		c.Close()
		w.wantUnrecognized("other.example.org")
		eventually(t, "nothing left of the clients", func() bool { return serverLeftovers(server.server, true) == "" })
		if relays := server.server.Status().Counters.Relays; relays != 3 {
			t.Errorf("%d relays, want one for each connection", relays)
		}
		node.stop()
		eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })
		for _, l := range server.server.Status().Leases {
			if err := server.server.Forget(t.Context(), l.Key); err != nil {
				t.Error(err)
			}
		}
		ending.mu.Lock()
		defer ending.mu.Unlock()
		for domain, n := range ending.wanted {
			if n != 0 {
				t.Errorf("%s is wanted %d times", domain, n)
			}
		}
		if len(ending.wanted) != 2 {
			t.Errorf("wanted were %v", ending.wanted)
		}
	})
}

// TestVisitorsOfTermination: rules for visitors hold where the server ends TLS: for a domain and a name of the server's
// own, also for who came before the rules were known. An authority gets its answer from wherever it comes. The limit of
// connections is about those of visitors, not about their requests.
func TestVisitorsOfTermination(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination)
		arrived := make(chan struct{}, 8)
		w.serveHTTP(plainWeb, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				arrived <- struct{}{}
				<-r.Context().Done()
			}
		})
		rules := quicproxy.Visitors{Deny: prefixes("192.0.2.66/32"), PerAddress: 2}
		services := func(c *NodeConfig) {
			for _, domain := range []string{"", "www.example.org"} {
				c.Services = append(c.Services, Service{Name: "web" + strings.TrimSuffix(domain, ".example.org"), Upstream: plainWeb, Domain: domain, TLS: 2, Visitors: rules})
			}
		}
		node := w.startNode(services)
		var names []string
		for _, l := range node.leases.wait(t, 2) {
			names = append(names, strings.TrimPrefix(cmp.Or(l.Name, l.PublicAddress), "https://"))
		}
		denied := w.net.Host("192.0.2.66")
		refused := func(name string) {
			t.Helper()
			c := tls.Client(dialFrom(t, denied, "443"), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err := c.Handshake(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a visitor of %s who is not welcome: %v", name, err)
			}
		}
		browser := w.browser(true) // with one connection to each name
		for _, name := range names {
			refused(name)
			if status, _ := fetch(t, browser, "https://"+name+"/"); status != 200 {
				t.Errorf("one who is gets %d", status)
			}
		}
		authority := dialFrom(t, denied, "80")
		writeErr(authority, "GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
		if err := wantPrefix(authority, "HTTP/1.1 200"); err != nil {
			t.Errorf("an authority: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		for range 5 {
			asking.Go(func() {
				request, _ := http.NewRequestWithContext(ctx, "GET", "https://www.example.org/slow", nil)
				if response, err := browser.Do(request); err == nil {
					response.Body.Close()
					t.Errorf("a slow request: %s", response.Status)
				}
			})
		}
		eventually(t, "five requests at once", func() bool { return len(arrived) == 5 })
		cancel()
		asking.Wait()
		w.crash(server)
		_, termination = w.withTermination(t)
		w.startServer(termination)
		refused(names[0]) // it waits for the node, which says so
	})
}

// refusalOf waits until a service is refused.
func refusalOf(t *testing.T, node *running, i int) *quicproxy.FailureError {
	t.Helper()
	refusal := func() error { return node.node.Status(t.Context()).Services[i].Refusal }
	eventually(t, "refused", func() bool { return refusal() != nil })
	failure, ok := errors.AsType[*quicproxy.FailureError](refusal())
	if !ok {
		t.Fatal(refusal())
	}
	return failure
}

// TestNoTermination: a server that ends no TLS, or not for this name, says so and what to do; the service gets no
// lease that would do something else.
func TestNoTermination(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(w.withDomains)
		node := w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2))
		if f := refusalOf(t, node, 0); f.Code != framing.ErrorNoTermination || !strings.Contains(f.Advice, `"node"`) || !strings.Contains(f.Text, "does not end TLS") {
			t.Errorf("%+v", f)
		}
		node.stop()
		server.stop()
		_, termination := w.withTermination(t)
		server = w.startServer(termination)
		node = w.startNode(exposeEnded("web", plainWeb, "a.refused.example.org", 2), exposeEnded("odd", plainWeb, "b.example.org", 9),
			exposeEnded("own", plainWeb, "web.tunnel.example.org", 2), exposeEnded("all", plainWeb, "*.tunnel.example.org", 1), exposeEnded("self", plainWeb, "tunnel.example.org", 1))
		for i, want := range []framing.ErrorCode{framing.ErrorNoTermination, framing.ErrorBadRequest, framing.ErrorBadDomain, framing.ErrorBadDomain, framing.ErrorBadDomain} {
			if f := refusalOf(t, node, i); f.Code != want {
				t.Errorf("service %d: %+v, want %v", i, f, want)
			}
		}
		if leases := server.server.Status().Leases; len(leases) != 0 {
			t.Errorf("leased is %v", leases)
		}
	})
}

// TestTerminationAfterRestart: a client that comes after a start of the server, before the node, waits for it, since
// only then it is known who ends its TLS. While the node is away it is told so.
func TestTerminationAfterRestart(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination)
		w.serveHTTP(plainWeb, nil)
		node := w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2))
		node.leases.wait(t, 1)
		time.Sleep(time.Minute) // the server remembers where the node is
		w.crash(server)
		_, termination = w.withTermination(t)
		server = w.startServer(termination)
		if status, body := fetch(t, w.browser(true), "https://www.example.org/"); status != 200 {
			t.Errorf("%d %q", status, body)
		}
		node.stop()
		eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })
		if status, body := fetch(t, w.browser(true), "https://www.example.org/"); status != 502 {
			t.Errorf("without the node: %d %q", status, body)
		}
	})
}

// TestTerminationChanges: clients that wait for a node get no bytes that they did not mean for it when that comes back
// with another way to end TLS.
func TestTerminationChanges(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination)
		var came atomic.Int64
		w.serveTCP(plainWeb, func(c net.Conn) {
			came.Add(1)
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		w.serveTLS(secureWeb, "node")
		node := w.startNode(exposeDomain("web", secureWeb, "www.example.org"))
		node.leases.wait(t, 1)
		w.wantTLS("www.example.org", "node")
		node.stop()
		eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })
		outcome := make(chan error, 1)
		go func() {
			_, _, err := w.visitTLS("www.example.org")
			outcome <- err
		}()
		time.Sleep(time.Second)
		node = w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2))
		node.leases.wait(t, 1)
		if err := <-outcome; err == nil || came.Load() > 0 {
			t.Errorf("%v; its TLS came to the service, which speaks none, %d times", err, came.Load())
		}
		if status, _ := fetch(t, w.browser(true), "https://www.example.org/"); status != 200 {
			t.Errorf("%d", status)
		}
	})
}

// TestTerminationResets: what ends as a reset on one side does so on the other: nothing that was cut looks complete.
func TestTerminationResets(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		w.startServer(termination)
		w.serveTCP(plainWeb, func(c net.Conn) {
			request, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nhalf of it")
			if request.URL.Path == "/cut" {
				c.(interface{ SetLinger(int) error }).SetLinger(0)
			}
		})
		w.serveTCP("192.168.1.101:22", func(c net.Conn) {
			io.WriteString(c, "half of it")
			c.(interface{ SetLinger(int) error }).SetLinger(0)
		})
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2), exposeEnded("shell", "192.168.1.101:22", "shell.example.org", 3)).leases.wait(t, 2)
		for path, want := range map[string]bool{"/whole": true, "/cut": false} {
			response, err := w.browser(false).Get("https://www.example.org" + path)
			if err == nil {
				_, err = io.ReadAll(response.Body)
				response.Body.Close()
			}
			if (err == nil) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
		c, _, err := w.visitTLS("shell.example.org")
		if err == nil {
			_, err = io.ReadAll(c)
		}
		if err == nil {
			t.Error("the shell ended as if it were complete")
		}
	})
}

// TestTerminationStops: a server that stops lets running requests finish, and waits for nobody for ever.
func TestTerminationStops(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination, func(c *ServerConfig) { c.Drain = 5 * time.Second })
		w.serveHTTP(plainWeb, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/endless" {
				<-r.Context().Done()
			}
		})
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
		fetch(t, w.browser(true), "https://www.example.org/")
		endless := w.browser(false)
		go func() {
			if response, err := endless.Get("https://www.example.org/endless"); err == nil {
				response.Body.Close()
			}
		}()
		time.Sleep(time.Second)
		begun := time.Now()
		server.stop()
		if took := time.Since(begun); took > 12*time.Second {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		endless.CloseIdleConnections()
	})
}

// TestSlowClientsOfTermination: whoever does not finish the handshake, or a request, loses the connection, and
// meanwhile costs a bounded amount of memory.
func TestSlowClientsOfTermination(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const slow = 40
		_, termination := w.withTermination(t)
		server := w.startServer(termination, func(c *ServerConfig) { c.Memory = 64 << 20 })
		w.serveHTTP(plainWeb, nil)
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
		attacker := w.net.Host("198.51.100.99")
		ended := make(chan time.Duration, 2*slow)
		begun := time.Now()
		for i := range 2 * slow {
			c, err := attacker.DialTCP(t.Context(), serverIP+":443")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer c.Close()
				if i%2 == 0 { // a hello, and nothing more
					tls.Client(&mute{Conn: c}, &tls.Config{ServerName: "www.example.org", InsecureSkipVerify: true}).Handshake()
				} else if secure := tls.Client(c, &tls.Config{ServerName: "www.example.org", InsecureSkipVerify: true}); secure.Handshake() == nil {
					io.WriteString(secure, "GET / HTTP/1.1\r\n")
					for time.Since(begun) < time.Minute {
						time.Sleep(time.Second)
						if _, err := io.WriteString(secure, "X: y\r\n"); err != nil {
							break
						}
					}
				}
				io.Copy(io.Discard, c)
				ended <- time.Since(begun)
			}()
		}
		time.Sleep(2 * time.Second)
		if used := server.server.Inspect().Memory.Used(); used > 2*slow*130<<10 || used < slow*128<<10 {
			t.Errorf("they cost %d bytes", used)
		}
		if status, _ := fetch(t, w.browser(true), "https://www.example.org/"); status != 200 {
			t.Errorf("%d", status)
		}
		for range 2 * slow {
			if took := <-ended; took > 25*time.Second {
				t.Errorf("one stayed for %v", took)
			}
		}
		eventually(t, "nothing left", func() bool { return serverLeftovers(server.server, true) == "" })
	})
}

// mute is a connection of which only the first write is sent.
type mute struct {
	net.Conn
	sent bool
}

func (m *mute) Write(p []byte) (int, error) {
	if m.sent {
		return len(p), nil
	}
	m.sent = true
	return m.Conn.Write(p)
}

// TestManyStreams: of ten thousand requests at once over one connection no more than a hundred are at the service, the
// memory that they cost counts, and others are served.
func TestManyStreams(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination, func(c *ServerConfig) { c.Memory = 32 << 20 })
		var mu sync.Mutex
		now, most := 0, 0
		w.serveHTTP(plainWeb, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/other" {
				return
			}
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			select {
			case <-time.After(time.Minute):
			case <-r.Context().Done():
			}
			mu.Lock()
			now--
			mu.Unlock()
		})
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
		refused := w.floodStreams(10000)
		time.Sleep(5 * time.Second)
		mu.Lock()
		if now != 100 || most != 100 || refused.Load() < 9000 {
			t.Errorf("%d requests at once, %d at most, %d refused", now, most, refused.Load())
		}
		mu.Unlock()
		if used := server.server.Inspect().Memory.Used(); used > 32<<20 || used < 100*64<<10 {
			t.Errorf("%d bytes are in use", used)
		}
		if status, _ := fetch(t, w.browser(true), "https://www.example.org/other"); status != 200 {
			t.Errorf("another client: %d", status)
		}
		eventually(t, "nothing left", func() bool { return serverLeftovers(server.server, true) == "" })
	})
}

// floodStreams sends so many requests at once over one connection, which it closes after a minute, and counts those
// that are refused.
func (w *world) floodStreams(requests int) (refused *atomic.Int64) {
	w.t.Helper()
	c := tls.Client(w.visit("443"), &tls.Config{ServerName: "www.example.org", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := c.Handshake(); err != nil {
		w.t.Fatal(err)
	}
	refused = new(atomic.Int64)
	framer := http2.NewFramer(c, c)
	go func() {
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if _, ok := frame.(*http2.RSTStreamFrame); ok {
				refused.Add(1)
			}
		}
	}()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for name, value := range map[string]string{":method": "GET", ":scheme": "https", ":authority": "www.example.org", ":path": "/"} {
		encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	io.WriteString(c, http2.ClientPreface)
	framer.WriteSettings()
	time.Sleep(time.Second)
	framer.WriteSettingsAck()
	go func() {
		for i := range requests {
			if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}) != nil {
				return
			}
		}
	}()
	time.AfterFunc(time.Minute, func() { c.Close() })
	return refused
}

// TestWaitingBodies: what waits of bodies for a service that does not read them is bounded, and counts.
func TestWaitingBodies(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const clients, each = 4, 5
		_, termination := w.withTermination(t)
		server := w.startServer(termination, func(c *ServerConfig) { c.Memory = 64 << 20 })
		w.serveHTTP(plainWeb, func(rw http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 { // its end shows nothing while the body is not read
				time.Sleep(time.Hour)
			}
		})
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for range clients {
			browser := w.browser(true)
			for range each {
				running.Go(func() {
					request, _ := http.NewRequestWithContext(ctx, "POST", "https://www.example.org/", io.LimitReader(zeroes{}, 1<<20))
					if response, err := browser.Do(request); err == nil {
						response.Body.Close()
					}
				})
			}
		}
		time.Sleep(10 * time.Second)
		const least = clients * (128 + 2*512 + each*64) << 10
		if used := server.server.Inspect().Memory.Used(); used < least || used > 70<<20 {
			t.Errorf("%d bytes are in use, at least %d are needed", used, least)
		}
		if status, _ := fetch(t, w.browser(true), "https://www.example.org/"); status != 200 {
			t.Errorf("another client: %d", status)
		}
		cancel()
		running.Wait()
		eventually(t, "nothing left", func() bool { return serverLeftovers(server.server, true) == "" })
	})
}

// zeroes never end.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

// TestSlowReaderOfTermination: a client that does not read a long answer costs what a relay may keep, and neither
// disturbs others.
func TestSlowReaderOfTermination(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination, func(c *ServerConfig) { c.Memory = 16 << 20 })
		w.serveHTTP(plainWeb, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				for chunk := make([]byte, 64<<10); ; {
					if _, err := rw.Write(chunk); err != nil {
						return
					}
				}
			}
		})
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
		for range 20 {
			c, _, err := w.visitTLS("www.example.org")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "GET /long HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
		}
		time.Sleep(20 * time.Second)
		if used := server.server.Inspect().Memory.Used(); used > 18<<20 {
			t.Errorf("%d bytes are in use", used)
		}
		if status, _ := fetch(t, w.browser(true), "https://www.example.org/"); status != 200 {
			t.Errorf("another client: %d", status)
		}
	})
}

// TestOwnNames: a service with a port has a name below the server's domain, if it asks for one; only its node has it.
func TestOwnNames(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		server := w.startServer(termination)
		w.serveHTTP(plainWeb, nil)
		w.serveTLS(secureWeb, "node")
		services := func(c *NodeConfig) {
			c.Services = []Service{
				{Name: "web.site", Upstream: plainWeb, TLS: 2}, {Name: "tls", Upstream: secureWeb, TLS: 1}, {Name: "any", Upstream: plainWeb, TLS: 2, NameIfAny: true},
				{Name: "port", Upstream: plainWeb}, {Name: "web_site", Upstream: plainWeb, TLS: 2},
			}
		}
		node := w.startNode(services)
		var names []string
		for _, l := range node.leases.wait(t, 5) {
			if !strings.HasPrefix(l.PublicAddress, "tcp://"+serverIP+":2000") {
				t.Errorf("%s is at %s", l.Service, l.PublicAddress)
			}
			names = append(names, strings.TrimPrefix(l.Name, "https://"))
		}
		short := shortOf(w.nodeKey)
		want := []string{"web-site-" + short + ".tunnel.example.org", "tls-" + short + ".tunnel.example.org", "any-" + short + ".tunnel.example.org", "", ""}
		if !slices.Equal(names, want) {
			t.Fatalf("the names are %q, want %q", names, want)
		}
		check := func() {
			t.Helper()
			for _, name := range []string{names[0], names[2]} {
				if status, body := fetch(t, w.browser(true), "https://"+name+"/"); status != 200 || !strings.Contains(body, name) {
					t.Errorf("%s: %d %q", name, status, body)
				}
			}
			w.wantTLS(names[1], "node")
		}
		check()
		var told []string
		for _, traffic := range server.server.Status().Traffic {
			told = append(told, traffic.Name)
		}
		slices.Sort(told)
		if !slices.Equal(told, slices.Sorted(slices.Values(want))) {
			t.Errorf("the operator is told %q, want %q", told, want)
		}
		for _, name := range []string{"tunnel.example.org", "port-" + short + ".tunnel.example.org", "tls.tunnel.example.org", "a." + names[1], "tls-" + short[1:] + ".tunnel.example.org"} {
			w.wantUnrecognized(name)
		}
		if status := node.node.Status(t.Context()).Services[0]; status.Name != "https://"+names[0] {
			t.Errorf("%+v", status)
		}
		w.crash(server)
		_, termination = w.withTermination(t)
		w.startServer(termination)
		w.wantTLS(names[1], "node") // it waits for the node
		check()
	})
}

// TestNodeDoesNotTakeOwnNames: another node has names of its own, whatever it calls its services or asks for.
func TestNodeDoesNotTakeOwnNames(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		_, termination := w.withTermination(t)
		w.startServer(termination)
		w.serveTLS(secureWeb, "victim")
		w.serveTLS("192.168.1.101:444", "hostile")
		node := w.startNode(func(c *NodeConfig) { c.Services = []Service{{Name: "web", Upstream: secureWeb, TLS: 1}} })
		name := strings.TrimPrefix(node.leases.wait(t, 1)[0].Name, "https://")
		w.wantTLS(name, "victim")
		hostile := newKey(t)
		label, _, _ := strings.Cut(name, ".")
		for i, service := range []Service{
			{Name: "web", TLS: 1}, {Name: label, TLS: 1}, {Name: "web-" + shortOf(w.nodeKey), TLS: 1}, {Name: "a", Domain: name}, {Name: "b", Domain: "*.tunnel.example.org"},
			{Name: "c", Domain: "*.example.org"}, {Name: "d", Domain: "tunnel.example.org"}, {Name: "e", Domain: "*." + name},
		} {
			service.Upstream = "192.168.1.101:444"
			other := w.startNode(func(c *NodeConfig) { c.Services, c.Key = []Service{service}, hostile })
			time.Sleep(10 * time.Second)
			w.wantTLS(name, "victim")
			if _, served, err := w.visitTLS("web-" + strings.Repeat("a", 16) + ".tunnel.example.org"); err == nil {
				t.Errorf("%d: a name of nobody is served by %s", i, served)
			}
			other.stop()
		}
	})
}

// TestPlacesOfTermination: a client that has many requests at once over one connection has no more connections to the
// node than it could have by itself.
func TestPlacesOfTermination(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const places = 20
		_, termination := w.withTermination(t)
		server := w.startServer(termination, func(c *ServerConfig) { c.MaxClientsPerAddress = places })
		var mu sync.Mutex
		now := 0
		w.serveHTTP(plainWeb, func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			now++
			mu.Unlock()
			select {
			case <-time.After(time.Minute):
			case <-r.Context().Done():
			}
			mu.Lock()
			now--
			mu.Unlock()
		})
		w.startNode(exposeEnded("web", plainWeb, "www.example.org", 2)).leases.wait(t, 1)
		w.floodStreams(100)
		time.Sleep(5 * time.Second)
		mu.Lock()
		if now != places {
			t.Errorf("%d connections to the service, want %d", now, places)
		}
		mu.Unlock()
		if open := server.server.Inspect().Clients.Open(); open != places {
			t.Errorf("%d places are in use", open)
		}
		eventually(t, "nothing left", func() bool { return serverLeftovers(server.server, true) == "" })
	})
}
