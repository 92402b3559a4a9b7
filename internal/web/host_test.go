package web

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOtherHost: an upstream that only knows a name of its own is asked for that, with both versions of HTTP, by
// WebSocket, and by clients without TLS; it learns what the visitor asked for, and its redirects lead there.
func TestOtherHost(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			http.Redirect(w, r, "http://NAS.local:8080/a?b", http.StatusFound)
		case "/elsewhere":
			http.Redirect(w, r, "http://nas.local/a", http.StatusFound)
		case "/path":
			http.Redirect(w, r, "/a", http.StatusFound)
		case "/socket":
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintln(c, r.Host, r.Header.Get("X-Forwarded-Host"))
			c.Close()
		default:
			fmt.Fprintln(w, r.Host, r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("Forwarded"), r.Header.Get("Origin"))
		}
	})
	site.config.Host = "nas.local:8080"
	plain := site.plain(t)
	for name, test := range map[string]struct {
		client      *http.Client
		from, asked string
	}{
		"HTTP/1.1":             {site.client(false), "https://www.example.org", "www.example.org https"},
		"HTTP/2":               {site.client(true), "https://www.example.org", "www.example.org https"},
		"HTTP/1.1 without TLS": {plain(false), "http://192.0.2.1:20000", "192.0.2.1:20000 http"},
		"HTTP/2 without TLS":   {plain(true), "http://any.example.org", "any.example.org http"},
	} {
		test.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		host, scheme, _ := strings.Cut(test.asked, " ")
		want := fmt.Sprintf("nas.local:8080 %s for=127.0.0.1;host=%q;proto=%s https://a.example.org\n", test.asked, host, scheme)
		if status, body := get(t, test.client, test.from+"/", "Origin", "https://a.example.org"); status != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", name, status, body, want)
		}
		for path, want := range map[string]string{"/there": test.from + "/a?b", "/elsewhere": "http://nas.local/a", "/path": "/a"} {
			response, err := test.client.Get(test.from + path)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Header.Get("Location"); got != want {
				t.Errorf("%s, %s leads to %q, want %q", name, path, got, want)
			}
		}
	}
	request, _ := http.NewRequest("GET", "https://www.example.org/socket", nil)
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	response, err := site.client(false).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); response.StatusCode != 101 || string(text) != "nas.local:8080 www.example.org\n" || err != nil {
		t.Errorf("WebSocket: %s, %q, %v", response.Status, text, err)
	}
}

// plain makes clients without TLS of a site like this one, whatever name they ask for.
func (r *running) plain(t *testing.T) func(http2 bool) *http.Client {
	t.Helper()
	site := New(Config{Plain: true, Host: r.config.Host, Dial: r.config.Dial, Log: r.config.Log})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- site.Serve(ctx, ctx, withoutTLS{listener}) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return func(http2 bool) *http.Client {
		transport := &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
			},
			Protocols: new(http.Protocols),
		}
		transport.Protocols.SetHTTP1(!http2)
		transport.Protocols.SetUnencryptedHTTP2(http2)
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: 20 * time.Second}
	}
}

// withoutTLS accepts connections of a port.
type withoutTLS struct{ net.Listener }

func (l withoutTLS) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return plainConn{c}, err
}

type plainConn struct{ net.Conn }

func (plainConn) TLS() bool { return false }
