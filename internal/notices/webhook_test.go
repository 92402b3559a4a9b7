package notices

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apquic/internal/events"
)

// joined is a message with what a hostile node may call itself.
func joined() message {
	return message{event: events.Event{
		ID: 42, Time: time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC), Level: "INFO", Name: "join", Message: "audit",
		Attributes: json.RawMessage(`{"event":"join","node":"A…","name":"\"},\n{text}\u001b"}`),
	}, missed: 3}
}

// received is a request that a server got.
type received struct {
	method, path, body string
	header             http.Header
}

// hookServer serves with handle, and returns its URL and what it gets.
func hookServer(t *testing.T, handle http.HandlerFunc) (url string, got <-chan received) {
	t.Helper()
	all := make(chan received, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		all <- received{r.Method, r.URL.Path, string(body), r.Header}
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, all
}

func ok(http.ResponseWriter, *http.Request) {}

// deliver sends a message as a program would that has w in its settings.
func deliver(t *testing.T, w Webhook) error {
	t.Helper()
	return newTestHook(t, w).send(t.Context(), joined())
}

func newTestHook(t *testing.T, w Webhook) *hook {
	t.Helper()
	if err := (Notice{Events: []string{"join"}, After: DefaultAfter, PerHour: 1, Webhook: w}).Check(); err != nil {
		t.Fatal(err)
	}
	d, err := readDestination(w)
	if err != nil {
		t.Fatal(err)
	}
	return newHook(w, d, sender{"apquic-server", "vps"})
}

// TestWebhook: what a server gets, as JSON, as a text, and in the forms of others; no name of a node breaks out of it.
func TestWebhook(t *testing.T) {
	t.Parallel()
	url, got := hookServer(t, ok)
	if err := deliver(t, Webhook{URL: url + "/hook"}); err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	r := <-got
	if err := json.Unmarshal([]byte(r.body), &all); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	attributes, _ := all["attributes"].(map[string]any)
	if r.method != "POST" || r.path != "/hook" || r.header.Get("Content-Type") != "application/json" || all["event"] != "join" || all["id"] != "42" ||
		all["program"] != "apquic-server" || all["host"] != "vps" || all["missed"] != 3.0 || attributes["node"] != "A…" {
		t.Errorf("%+v", r)
	}
	if err := deliver(t, Webhook{URL: url, Headers: map[string]string{"Title": "apquic"}, Body: "{event} at {host}: {text}"}); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.header.Get("Title") != "apquic" || r.body != `join at vps: join (node=A…, name="}, {text} ); 3 more before` {
		t.Errorf("%+v", r)
	}
	file := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(file, []byte("Authorization: Bearer secret\nX-Other: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, Webhook{URL: url + "/send/apquic-{id}", Method: "PUT", HeadersFile: file, JSON: true, Body: `{"msgtype":"m.text","body":"{attributes.name}{attributes.none}"}`}); err != nil {
		t.Fatal(err)
	}
	r = <-got
	var matrix struct{ MsgType, Body string }
	if err := json.Unmarshal([]byte(r.body), &matrix); err != nil || matrix.Body != `"}, {text} ` || matrix.MsgType != "m.text" ||
		r.method != "PUT" || r.path != "/send/apquic-42" || r.header.Get("Authorization") != "Bearer secret" {
		t.Errorf("%v: %+v", err, r)
	}
}

// TestAnswers: what is tried again, and what is not.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		200: "", 204: "", 302: "permanent", 307: "permanent", 400: "permanent", 401: "permanent", 404: "permanent",
		408: "again", 425: "again", 429: "again", 500: "again", 503: "again",
	} {
		var elsewhere atomic.Int32
		other, _ := hookServer(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
		url, _ := hookServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other)
			w.WriteHeader(status)
		})
		err, got := deliver(t, Webhook{URL: url}), ""
		if _, lost := errors.AsType[permanent](err); lost {
			got = "permanent"
		} else if err != nil {
			got = "again"
		}
		if got != want || elsewhere.Load() != 0 {
			t.Errorf("%d: %v, want %q; %d requests went elsewhere", status, err, want, elsewhere.Load())
		}
	}
}

// TestCertificateIsChecked: a server without a certificate that this machine trusts gets nothing.
func TestCertificateIsChecked(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it got a request") }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	defer s.Close()
	if err := deliver(t, Webhook{URL: s.URL}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}

// TestHostileWebhook: a server that never answers, trickles, sends endless headers or an endless body, costs one
// connection for a bounded time and no memory worth a mention, and what it says cannot control a terminal.
func TestHostileWebhook(t *testing.T) {
	t.Parallel()
	endless := func(c net.Conn, beginning, text string) {
		io.WriteString(c, beginning)
		for {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
	for name, test := range map[string]struct {
		serve func(net.Conn)
		fails bool
	}{
		"silence": {func(c net.Conn) { io.Copy(io.Discard, c) }, true},
		"trickle": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nX-A: ")
			for _, err := io.WriteString(c, "a"); err == nil; _, err = io.WriteString(c, "a") {
				time.Sleep(20 * time.Millisecond)
			}
		}, true},
		"headers":  {func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 1000)+"\r\n") }, true},
		"informed": {func(c net.Conn) { endless(c, "", "HTTP/1.1 103 Early Hints\r\nX-A: a\r\n\r\n") }, true},
		"body": {func(c net.Conn) {
			endless(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", strings.Repeat("a", 1000))
		}, false},
		"no body": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
			io.Copy(io.Discard, c)
		}, false},
		"garbage": {func(c net.Conn) { io.WriteString(c, "\x1b[2Jhello\r\n\r\n") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				io.ReadFull(c, make([]byte, 1)) // before that nothing is an answer
				go io.Copy(io.Discard, c)       // the request
				test.serve(c)
			}()
			h := newTestHook(t, Webhook{URL: "http://" + l.Addr().String() + "/secret"})
			h.client.Timeout = 300 * time.Millisecond
			var read atomic.Int64
			h.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				return &counting{c, &read}, err
			}
			err = h.send(t.Context(), joined())
			if (err != nil) != test.fails {
				t.Errorf("%v", err)
			}
			if err != nil && (strings.ContainsAny(err.Error(), "\x1b\r\n") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("the error is %q", err)
			}
			if n := read.Load(); n > 4*maxAnswer {
				t.Errorf("%d bytes were read", n)
			}
			select {
			case <-ended: // the connection is closed
			case <-time.After(10 * time.Second):
				t.Error("the connection stays")
			}
		})
	}
}

// counting counts what is read.
type counting struct {
	net.Conn
	read *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// TestSecretsStay: what is in a URL, in headers and in their files is in no error, description or line of the log.
func TestSecretsStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	said := new(strings.Builder)
	hub := events.New(slog.NewTextHandler(said, nil))
	for _, w := range []Webhook{
		{URL: "http://user:geheim@" + refusing.Addr().String() + "/geheim?geheim"},
		{URLFile: file("url", "http://"+refusing.Addr().String()+"/geheim\n"), HeadersFile: file("h", "Authorization: geheim")},
		{URLFile: file("none", "geheim")}, {URLFile: file("two", "http://a/geheim\nhttp://b/geheim")}, {URLFile: filepath.Join(dir, "missing")},
		{URL: "https://a/x", HeadersFile: file("bad", "geheim")}, {URL: "https://a/x", HeadersFile: file("control", "A: geheim\x01")},
		{URL: "geheim://geheim"}, {URL: "http://%zz/geheim"},
	} {
		notice := Notice{Events: []string{"join"}, After: DefaultAfter, PerHour: 1, Webhook: w}
		p, err := Read([]Notice{notice})
		if err != nil {
			said.WriteString(err.Error() + "\n")
			continue
		}
		said.WriteString(notice.Describe() + "\n")
		ctx, cancel := context.WithCancel(t.Context())
		hurry := make(chan struct{})
		close(hurry)
		o := open(ctx, p[0], newHook(w, p[0].destination, sender{}), hurry, nil, slog.New(hub))
		o.see(joined().event)
		close(o.queue)
		select {
		case <-o.done:
		case <-time.After(30 * time.Second):
			t.Error("it does not end")
		}
		cancel()
	}
	if text := said.String(); strings.Contains(text, "geheim") || strings.Count(text, "was not delivered") < 2 {
		t.Errorf("this was said:\n%s", text)
	}
}
