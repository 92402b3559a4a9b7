package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newCertificate is one for names, for itself.
func newCertificate(t *testing.T, names ...string) (pair tls.Certificate, certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, certificate, key
}

// running is a site in front of an upstream.
type running struct {
	*Site
	t        *testing.T
	address  string
	roots    *x509.CertPool
	stop     func() error
	upstream *httptest.Server
}

func startSite(t *testing.T, domain string, handler http.HandlerFunc) *running {
	t.Helper()
	pair, certificate, _ := newCertificate(t, "www.example.org", "*.example.org")
	upstream := httptest.NewUnstartedServer(handler)
	upstream.Config.Protocols = new(http.Protocols)
	upstream.Config.Protocols.SetHTTP1(true)
	upstream.Config.Protocols.SetUnencryptedHTTP2(true)
	upstream.Start()
	t.Cleanup(upstream.Close)
	r := &running{t: t, roots: x509.NewCertPool(), upstream: upstream}
	r.roots.AppendCertsFromPEM(certificate)
	r.Site = New(Config{
		Domain: domain, Log: slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", upstream.Listener.Addr().String())
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil },
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	patience, giveUp := context.WithTimeout(context.Background(), 10*time.Second)
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, patience, listener) }()
	r.stop = func() error { cancel(); return <-ended }
	t.Cleanup(func() {
		cancel()
		giveUp()
		select {
		case <-ended:
		default:
		}
	})
	return r
}

// client is a client of the site whatever the host, over HTTP/1.1 or HTTP/2 alone.
func (r *running) client(http2 bool) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", r.address)
		},
		TLSClientConfig: &tls.Config{RootCAs: r.roots}, Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func get(t *testing.T, client *http.Client, url string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestClientHeaders: the upstream learns the client, the host and the scheme, and nothing of that kind that the
// client says.
func TestClientHeaders(t *testing.T) {
	t.Parallel()
	site := startSite(t, "*.example.org", func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Anything", "X-Real-Ip", "X-Forwarded-User", "Client-Cert", "X_forwarded_for", "X-Mine"} {
			fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.Header.Values(name), "|"))
		}
		fmt.Fprintln(w, r.Host, r.Proto, r.Header.Get("User-Agent") != "")
	})
	for _, http2 := range []bool{false, true} {
		status, body := get(t, site.client(http2), "https://www.example.org/",
			"Forwarded", "for=192.0.2.1", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "gopher",
			"X-Forwarded-Port", "1", "x-forwarded-anything", "evil", "X-Real-IP", "192.0.2.1", "X_Forwarded_For", "192.0.2.1",
			"X-Forwarded-User", "evil", "Client-Cert", ":evil:", "X-Mine", "stays")
		want := "Forwarded: for=127.0.0.1;host=\"www.example.org\";proto=https\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: www.example.org\n" +
			"X-Forwarded-Proto: https\nX-Forwarded-Port: \nX-Forwarded-Anything: \nX-Real-Ip: \nX-Forwarded-User: \nClient-Cert: \nX_forwarded_for: \nX-Mine: stays\nwww.example.org HTTP/1.1 true\n"
		if status != 200 || body != want {
			t.Errorf("HTTP/2 %v: %d\n%s\nwant\n%s", http2, status, body, want)
		}
	}
	unknown := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), "192.0.2.1") {
				fmt.Fprintln(w, name)
			}
		}
	})
	var sent []string
	for _, name := range []string{
		"X-Forwarded", "X-Original-Forwarded-For", "Forwarded-For", "X-Real-IP", "X_REAL_IP", "X-Client-IP", "Client-IP", "True-Client-IP", "True_Client_Ip", "X-Cluster-Client-IP",
		"CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4", "Fastly-Client-IP", "Fly-Client-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Appengine-User-IP", "X-Envoy-External-Address",
		"X-Remote-IP", "X-Remote-Addr", "Remote-Addr", "X-Originating-IP", "X-ProxyUser-IP", "Proxy-Client-IP", "WL-Proxy-Client-IP", "Ali-CDN-Real-IP", "CDN-Src-IP", "DO-Connecting-IP", "X-NF-Client-Connection-IP", "X-Forward-For", "X-Original-For", "CloudFront-Viewer-Address",
	} {
		sent = append(sent, name, "192.0.2.1")
	}
	if status, body := get(t, unknown.client(true), "https://www.example.org/", sent...); status != 200 || body != "" {
		t.Errorf("%d, the upstream is told of another client by\n%s", status, body)
	}
	if got := forwarded(&http.Request{RemoteAddr: "[2001:db8::1]:80", Host: "a.example.org:8080"}); got != `for="[2001:db8::1]";host="a.example.org:8080";proto=http` {
		t.Error(got)
	}
}

// TestOtherSites: a connection to one site gets no other.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	client := site.client(true)
	for host, want := range map[string]int{"www.example.org": 200, "WWW.example.org:8443": 200, "www.example.org.": 200, "other.example.org": 421, "example.org": 421, "127.0.0.1": 421} {
		if status, body := get(t, client, "https://www.example.org/", "Host", host); status != want {
			t.Errorf("%s: %d %q, want %d", host, status, body, want)
		}
	}
}

// TestNameOfTheHandshake: a connection is for the name of its handshake alone, also if the certificate and the
// site have others, and a wildcard stands for no name that is another site's, whatever comes without TLS.
func TestNameOfTheHandshake(t *testing.T) {
	t.Parallel()
	site := startSite(t, "*.example.org", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	site.config.Except = []string{"secret.example.org"}
	for _, http2 := range []bool{false, true} {
		client := site.client(http2)
		for host, want := range map[string]int{"tv.example.org": 200, "TV.example.org": 200, "www.example.org": 421, "secret.example.org": 421} {
			if status, body := get(t, client, "https://tv.example.org/", "Host", host); status != want {
				t.Errorf("HTTP/2 %v, %s: %d %q, want %d", http2, host, status, body, want)
			}
		}
		if status, _ := get(t, client, "https://secret.example.org/"); status != 421 {
			t.Errorf("another site: %d", status)
		}
	}
	for host, want := range map[string]int{"tv.example.org": 200, "www.example.org": 200, "secret.example.org": 421} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "http://"+host+"/", nil)
		if site.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s without TLS: %d, want %d", host, w.Code, want)
		}
	}
}

// TestUpstreamAway: the client is told that the service does not answer.
func TestUpstreamAway(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", nil)
	site.upstream.Close()
	if status, body := get(t, site.client(true), "https://www.example.org/"); status != 502 || !strings.Contains(body, "does not answer") {
		t.Errorf("%d %q", status, body)
	}
}

// TestEventsAtOnce: what the upstream writes arrives before it writes more, with both versions of HTTP.
func TestEventsAtOnce(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		more := make(chan bool)
		site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for range more {
				io.WriteString(w, "data: x\n\n")
				http.NewResponseController(w).Flush()
			}
		})
		go func() { more <- true }()
		response, err := site.client(http2).Get("https://www.example.org/")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if i > 0 {
				more <- true
			}
			event := make([]byte, len("data: x\n\n"))
			if _, err := io.ReadFull(response.Body, event); err != nil || string(event) != "data: x\n\n" {
				t.Fatalf("%q, %v", event, err)
			}
		}
		close(more)
		response.Body.Close()
	}
}

// TestGRPC: a call with messages in both directions that take turns, and trailers, as gRPC makes them.
func TestGRPC(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
			t.Errorf("the upstream gets %s, TE %q", r.Proto, r.Header.Get("Te"))
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(200)
		control := http.NewResponseController(w)
		control.Flush()
		message := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, message); err != nil {
				break
			}
			w.Write(message)
			control.Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	})
	body, send := io.Pipe()
	request, _ := http.NewRequest("POST", "https://www.example.org/service/method", body)
	request.Header.Set("Content-Type", "application/grpc+proto")
	request.Header.Set("Te", "trailers")
	response, err := site.client(true).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for _, message := range []string{"first", "other", "third"} {
		io.WriteString(send, message)
		got := make([]byte, 5)
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != message {
			t.Fatalf("%q, %v", got, err)
		}
	}
	send.Close()
	if rest, err := io.ReadAll(response.Body); len(rest) > 0 || err != nil || response.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("%q, %v, trailers %v", rest, err, response.Trailer)
	}
}

// TestGRPCWeb: gRPC-Web comes over the version of HTTP that every service speaks.
func TestGRPCWeb(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	for kind, want := range map[string]string{"application/grpc-web+proto": "HTTP/1.1", "application/grpc-web-text": "HTTP/1.1", "application/grpc": "HTTP/2.0", "application/grpc+json": "HTTP/2.0"} {
		if _, got := get(t, site.client(true), "https://www.example.org/", "Content-Type", kind); got != want {
			t.Errorf("%s comes over %s", kind, got)
		}
	}
}

// TestUpgradeToHTTP2: a client cannot have the upstream change to HTTP/2, and then send requests that nobody looks at.
func TestUpgradeToHTTP2(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upgrade %q, connection %q", r.Header.Get("Upgrade"), r.Header.Get("Connection"))
	})
	for upgrade, want := range map[string]string{
		"h2c": `upgrade "", connection ""`, "H2C": `upgrade "", connection ""`, "websocket, h2c": `upgrade "", connection ""`, "other": `upgrade "other", connection "Upgrade"`,
	} {
		_, got := get(t, site.client(false), "https://www.example.org/", "Connection", "Upgrade, HTTP2-Settings", "HTTP2-Settings", "AAMAAABkAAQAAP__", "Upgrade", upgrade)
		if got != want {
			t.Errorf("%s: %s, want %s", upgrade, got, want)
		}
	}
}

// TestWebSocket: after an upgrade bytes pass in both directions.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, buffered)
	})
	c, err := tls.Dial("tcp", site.address, &tls.Config{ServerName: "www.example.org", RootCAs: site.roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: www.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatalf("%v, %v", response, err)
	}
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(c, line)
		if got, err := r.ReadString('\n'); got != line || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestLargeBodies: megabytes pass both ways and arrive unchanged.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	for _, http2 := range []bool{false, true} {
		client := site.client(http2)
		if !http2 { // an HTTP/1.1 client that sends everything first would wait for ever
			continue
		}
		response, err := client.Post("https://www.example.org/", "application/octet-stream", bytes.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
		}
	}
}

// TestRequestLimit: more requests than a site may have are refused.
func TestRequestLimit(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {})
	for i := range maxRequests {
		if !site.requests.take(fmt.Sprintf("198.51.%d.%d:80", i/256, i%256)) {
			t.Fatalf("request %d is refused", i)
		}
	}
	if status, _ := get(t, site.client(true), "https://www.example.org/"); status != 503 {
		t.Errorf("%d", status)
	}
	site.requests.give("198.51.0.0:80")
	if status, _ := get(t, site.client(true), "https://www.example.org/"); status != 200 {
		t.Errorf("%d", status)
	}
}

// TestRequestsOfAddress: one address, or one /64, gets a part of the requests, and others theirs.
func TestRequestsOfAddress(t *testing.T) {
	t.Parallel()
	for greedy, others := range map[string][]string{
		"198.51.100.7:%d":      {"198.51.100.8:80", "[2001:db8::1]:80"},
		"[2001:db8:0:1::%x]:1": {"[2001:db8:0:2::1]:80", "198.51.100.7:80"},
		"unknown%d":            {"198.51.100.7:80"},
	} {
		var r requests
		taken := 0
		for i := range maxRequests {
			if r.take(fmt.Sprintf(greedy, i+1)) {
				taken++
			}
		}
		if taken != maxRequests/addressShare {
			t.Errorf("%s: %d requests", greedy, taken)
		}
		for _, other := range others {
			if !r.take(other) {
				t.Errorf("%s gets none beside %s", other, greedy)
			}
			r.give(other)
		}
		for i := range taken {
			r.give(fmt.Sprintf(greedy, i+1))
		}
		if r.total != 0 || len(r.from) != 0 {
			t.Errorf("%s: %d requests of %d addresses are left", greedy, r.total, len(r.from))
		}
	}
}

// TestHalfHandshakes: clients that do not finish the handshake, or the head of a request, are dropped.
func TestHalfHandshakes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes headerTimeout")
	}
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {})
	silent, err := net.Dial("tcp", site.address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	slow, err := tls.Dial("tcp", site.address, &tls.Config{ServerName: "www.example.org", RootCAs: site.roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	io.WriteString(slow, "GET / HTTP/1.1\r\nX: ")
	for _, c := range []net.Conn{silent, slow} {
		c.SetDeadline(time.Now().Add(2 * headerTimeout))
		if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("it stays: %v", err)
		}
	}
}

// TestStop: a request that runs may finish, idle connections end at once.
func TestStop(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan bool), make(chan bool)
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- true
			<-finish
		}
		io.WriteString(w, "hello")
	})
	get(t, site.client(false), "https://www.example.org/")
	answer := make(chan string)
	go func() {
		_, body := get(t, site.client(false), "https://www.example.org/slow")
		answer <- body
	}()
	<-begun
	stopped := make(chan error)
	go func() { stopped <- site.stop() }()
	close(finish)
	if body := <-answer; body != "hello" {
		t.Errorf("%q", body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestKeyPair: changed files are read again, damaged ones are not.
func TestKeyPair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := LoadKeyPair(certificate, key, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), certificate) {
		t.Errorf("missing files: %v", err)
	}
	age := 0
	write := func(name string, certText, keyText []byte) {
		t.Helper()
		age++
		for file, text := range map[string][]byte{certificate: certText, key: keyText} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Duration(age)*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, firstCert, firstKey := newCertificate(t, "first.example.org")
	_, secondCert, secondKey := newCertificate(t, "second.example.org")
	write("first", firstCert, firstKey)
	pair, err := LoadKeyPair(certificate, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want := func(name string) {
		t.Helper()
		pair.pair.Look()
		got, err := pair.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(got.Certificate[0])
		if err != nil || leaf.DNSNames[0] != name {
			t.Errorf("%v, %v, want %s", leaf.DNSNames, err, name)
		}
	}
	want("first.example.org")
	write("half", secondCert, firstKey)
	want("first.example.org")
	write("second", secondCert, secondKey)
	want("second.example.org")
	write("damaged", []byte("?"), secondKey)
	want("second.example.org")
}
