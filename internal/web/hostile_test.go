package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// pipeVisitor is a visitor of www.example.org without limits and TLS, over a connection without buffers, whose upstream
// is a function.
type pipeVisitor struct {
	net.Conn
	upstream func(net.Conn)
	once     sync.Once
	closed   chan struct{}
}

// visitOverPipe has a site serve a visitor, until the test ends.
func visitOverPipe(t *testing.T, site *Site, upstream func(net.Conn)) (client net.Conn, v *pipeVisitor) {
	near, far := net.Pipe()
	v = &pipeVisitor{Conn: far, upstream: upstream, closed: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { site.ServeVisitor(v) })
	t.Cleanup(func() { near.Close(); serving.Wait() })
	near.SetDeadline(time.Now().Add(20 * time.Second))
	return near, v
}

func (v *pipeVisitor) Domain() string            { return "www.example.org" }
func (v *pipeVisitor) Begin(bool) (func(), bool) { return func() {}, true }
func (v *pipeVisitor) Closed() <-chan struct{}   { return v.closed }

func (v *pipeVisitor) Dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		v.upstream(far)
	}()
	return near, nil
}

func (v *pipeVisitor) Close() error {
	v.once.Do(func() { close(v.closed) })
	return v.Conn.Close()
}

// TestHeadOfUpstream: an upstream whose answer has no end of its head costs little: the client is told so.
func TestHeadOfUpstream(t *testing.T) {
	t.Parallel()
	taken := make(chan int, 1)
	client, _ := visitOverPipe(t, New(Config{Log: slog.New(slog.DiscardHandler)}), func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		n, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for more := 0; err == nil; n += more {
			more, err = io.WriteString(c, "X: "+strings.Repeat("y", 1000)+"\r\n")
		}
		taken <- n
	})
	io.WriteString(client, "GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil || response.StatusCode != http.StatusBadGateway {
		t.Errorf("%v, %v", response, err)
	}
	if n := <-taken; n > maxHeader+16<<10 {
		t.Errorf("%d bytes of a head were read", n)
	}
}

// TestManyFields: heads of very many fields, which cost far more than their bytes, pass in neither direction.
func TestManyFields(t *testing.T) {
	t.Parallel()
	site := startSite(t, "www.example.org", func(w http.ResponseWriter, r *http.Request) {
		n := 0
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		for i := range n {
			w.Header().Set(fmt.Sprint("X-", i), "")
		}
	})
	for _, http2 := range []bool{false, true} {
		for _, test := range []struct{ asked, answered, want int }{{200, 200, 200}, {300, 0, http.StatusRequestHeaderFieldsTooLarge}, {0, 300, http.StatusBadGateway}} {
			var fields []string
			for i := range test.asked {
				fields = append(fields, fmt.Sprint("X-", i), "")
			}
			if status, _ := get(t, site.client(http2), fmt.Sprint("https://www.example.org/", test.answered), fields...); status != test.want {
				t.Errorf("HTTP/2 %v: %d fields, and %d in the answer: %d, want %d", http2, test.asked, test.answered, status, test.want)
			}
		}
	}
}

// allowed is how much a peer of HTTP/2 says it takes before somebody reads it: of a frame, a stream, and a connection.
func allowed(framer *http2.Framer) (frame, stream, conn uint32) {
	conn, stream, frame = 65535, 65535, 16384 // as in RFC 9113
	for {
		switch f, err := framer.ReadFrame(); f := f.(type) {
		case *http2.SettingsFrame:
			f.ForeachSetting(func(s http2.Setting) error {
				switch s.ID {
				case http2.SettingInitialWindowSize:
					stream = s.Val
				case http2.SettingMaxFrameSize:
					frame = s.Val
				}
				return nil
			})
		case *http2.WindowUpdateFrame:
			return frame, stream, conn + f.Increment
		default:
			if err != nil {
				return 0, 0, 0
			}
		}
	}
}

// TestWindows: what clients and upstreams may send over HTTP/2 before it is read, also of one frame, is bounded.
func TestWindows(t *testing.T) {
	t.Parallel()
	site := New(Config{Log: slog.New(slog.DiscardHandler)})
	check := func(who string, framer *http2.Framer) {
		t.Helper()
		frame, stream, conn := allowed(framer)
		if frame > maxFrame || stream > maxStreamBuffer || conn > maxConnBuffer+65535 || conn == 0 {
			t.Errorf("%s may send frames of %d bytes, %d of a stream and %d in all", who, frame, stream, conn)
		}
	}
	seen := make(chan struct{})
	client, _ := visitOverPipe(t, site, func(c net.Conn) {
		defer close(seen)
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		check("an upstream", http2.NewFramer(nil, c))
	})
	io.WriteString(client, "POST / HTTP/1.1\r\nHost: www.example.org\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")
	<-seen

	r := startSite(t, "www.example.org", nil)
	secure, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: "www.example.org", RootCAs: r.roots, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	io.WriteString(secure, http2.ClientPreface)
	framer := http2.NewFramer(secure, secure)
	framer.WriteSettings()
	check("a client", framer)
}

// TestShutdown: visitors without a request end at once, those with one when it has ended, and new ones have none.
func TestShutdown(t *testing.T) {
	t.Parallel()
	site := New(Config{Log: slog.New(slog.DiscardHandler)})
	asked, answer := make(chan struct{}), make(chan struct{})
	upstream := func(c net.Conn) {
		if request, err := http.ReadRequest(bufio.NewReader(c)); err == nil && request.URL.Path == "/slow" {
			close(asked)
			<-answer
		}
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	}
	ask := func(c net.Conn, path string) error {
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && response.StatusCode != http.StatusNoContent {
			err = fmt.Errorf("%s", response.Status)
		}
		return err
	}
	idle, _ := visitOverPipe(t, site, upstream)
	if err := ask(idle, "/"); err != nil {
		t.Fatal(err)
	}
	slow, _ := visitOverPipe(t, site, upstream)
	outcome, ended := make(chan error, 1), make(chan error, 1)
	go func() { outcome <- ask(slow, "/slow") }()
	<-asked
	go func() { ended <- site.Shutdown(t.Context()) }()
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle visitor: %v", err)
	}
	late, _ := visitOverPipe(t, site, upstream)
	if err := ask(late, "/"); err == nil {
		t.Error("a new visitor is served")
	}
	close(answer)
	if err := <-outcome; err != nil {
		t.Errorf("a request that was on its way: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
}
