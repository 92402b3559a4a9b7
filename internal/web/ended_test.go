package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"apquic/internal/login"
)

// endedListener is of connections whose clients spoke TLS, or not, which ended before they come here.
type endedListener struct {
	net.Listener
	tls bool
}

type endedConn struct {
	net.Conn
	tls bool
}

func (c endedConn) TLS() bool      { return false }
func (c endedConn) TLSEnded() bool { return c.tls }

func (l endedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return endedConn{c, l.tls}, err
}

// startEnded is a site without TLS of its own whose visitors need the password "secret".
func startEnded(t *testing.T, tls bool) (address string, guard *login.Guard) {
	t.Helper()
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s user=%s authorization=%q proto=%s %s %s", r.Proto, r.Header.Get("X-Forwarded-User"), r.Header.Get("Authorization"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("Forwarded"), body)
	}))
	upstream.Config.Protocols = new(http.Protocols)
	upstream.Config.Protocols.SetHTTP1(true)
	upstream.Config.Protocols.SetUnencryptedHTTP2(true)
	upstream.Start()
	t.Cleanup(upstream.Close)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	guard = login.New(login.Config{
		Realm: "www.example.org", Work: login.NewWork(), Log: slog.New(slog.DiscardHandler),
		Passwords: map[string]string{"anna": string(hash)},
	})
	site := New(Config{
		Domain: "www.example.org", Log: slog.New(slog.DiscardHandler), Visitors: guard,
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", upstream.Listener.Addr().String())
		},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- site.Serve(ctx, ctx, endedListener{listener, tls}) }()
	t.Cleanup(func() { cancel(); <-ended })
	return listener.Addr().String(), guard
}

// endedClient speaks HTTP without TLS, as a server that ended it does.
func endedClient(t *testing.T, address string, http2 bool) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
		Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestLoginWhereTLSEndedElsewhere: visitors whose TLS ended before are asked for a password, over HTTP/1.1 and HTTP/2,
// which gRPC speaks; those who came without it are refused whatever they know.
func TestLoginWhereTLSEndedElsewhere(t *testing.T) {
	t.Parallel()
	const right = "Basic YW5uYTpzZWNyZXQ=" // anna:secret
	address, _ := startEnded(t, true)
	for _, http2 := range []bool{false, true} {
		client := endedClient(t, address, http2)
		if status, body := get(t, client, "http://www.example.org/"); status != 401 {
			t.Errorf("HTTP/2 %v, without a password: %d %s", http2, status, body)
		}
		want := "HTTP/1.1 user=anna authorization=\"\" proto=https for=127.0.0.1;host=\"www.example.org\";proto=https "
		if status, body := get(t, client, "http://www.example.org/", "Authorization", right, "X-Forwarded-User", "root"); status != 200 || body != want {
			t.Errorf("HTTP/2 %v: %d %q, want %q", http2, status, body, want)
		}
		if status, _ := get(t, client, "http://www.example.org/", "Authorization", right, "Host", "other.example.org"); status != 421 {
			t.Errorf("HTTP/2 %v, another site: %d", http2, status)
		}
	}
	if status, body := get(t, endedClient(t, address, true), "http://www.example.org/", "Authorization", right, "Content-Type", "application/grpc"); status != 200 || !strings.HasPrefix(body, "HTTP/2.0 user=anna") {
		t.Errorf("gRPC: %d %s", status, body)
	}
	for header, want := range map[string]int{"": 401, "Authorization: " + right + "\r\n": 101} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: www.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n", header)
		if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != want {
			t.Errorf("WebSocket with %q: %v, %v", header, response, err)
		}
		c.Close()
	}

	address, guard := startEnded(t, false)
	for _, http2 := range []bool{false, true} {
		if status, _ := get(t, endedClient(t, address, http2), "http://www.example.org/", "Authorization", right); status != 403 {
			t.Errorf("HTTP/2 %v, who came without TLS: %d", http2, status)
		}
	}
	if got := guard.Refused()["without TLS"]; got != 2 {
		t.Errorf("%v", guard.Refused())
	}
}
