package vhost

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// client is a connection on which something comes in pieces, and which then ends.
type client struct {
	net.Conn
	pieces [][]byte
}

func (c *client) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

// sends is a client that sends text at once, or byte by byte.
func sends(text []byte, trickle bool) *client {
	if !trickle {
		return &client{pieces: [][]byte{text}}
	}
	return &client{pieces: bytes.SplitAfter(text, nil)}
}

// clientHello is what crypto/tls sends first.
func clientHello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	config.InsecureSkipVerify = true
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { tls.Client(near, config).Handshake() })
	defer near.Close()
	hello := make([]byte, 16<<10)
	n, err := far.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// inRecords puts the handshake message of a ClientHello into records of size bytes.
func inRecords(hello []byte, size int) (records []byte) {
	message := hello[5:]
	for len(message) > 0 {
		n := min(size, len(message))
		records = append(records, 22, 3, 1, byte(n>>8), byte(n))
		records = append(records, message[:n]...)
		message = message[n:]
	}
	return records
}

func TestTLS(t *testing.T) {
	t.Parallel()
	hello := clientHello(t, &tls.Config{ServerName: "Photos.Example.org"})
	nameless := clientHello(t, &tls.Config{})
	old := clientHello(t, &tls.Config{ServerName: "old.example.org", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10})
	large := clientHello(t, &tls.Config{ServerName: "photos.example.org", NextProtos: slicesOf("protocol", 300)})
	huge := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, bytes.Repeat([]byte{0}, 1<<16)...)
	for _, test := range []struct {
		name  string
		sent  []byte
		want  string
		err   error // nil: any, if want is empty
		exact bool  // everything is read
	}{
		{"whole", hello, "photos.example.org", nil, true},
		{"with data behind it", append(bytes.Clone(hello), "early data"...), "photos.example.org", nil, false},
		{"TLS 1.0", old, "old.example.org", nil, true},
		{"in records of one byte", inRecords(hello, 1), "photos.example.org", nil, true},
		{"in two records", inRecords(hello, len(hello)/2), "photos.example.org", nil, true},
		{"large", large, "photos.example.org", nil, true},
		{"without a name", nameless, "", ErrNoName, true},
		{"without an end", huge, "", errTooLong, false},
		{"cut", hello[:len(hello)-1], "", io.ErrUnexpectedEOF, true},
		{"nothing", nil, "", io.EOF, true},
		{"a request", []byte("GET / HTTP/1.1\r\nHost: photos.example.org\r\n\r\n"), "", ErrForeign, false},
		{"SSH", []byte("SSH-2.0-OpenSSH_10.0\r\n"), "", ErrForeign, false},
		{"an alert", []byte{21, 3, 1, 0, 2, 2, 40}, "", nil, false},
		{"a ServerHello", []byte{22, 3, 3, 0, 4, 2, 0, 0, 0}, "", nil, false},
		{"nonsense in a record", append([]byte{22, 3, 1, 0, 8, 1, 0, 0, 4}, "nope"...), "", nil, false},
	} {
		for _, trickle := range []bool{false, true} {
			name, read, err := TLS(sends(test.sent, trickle))
			switch {
			case name != test.want, (err == nil) != (test.want != ""), test.err != nil && !errors.Is(err, test.err):
				t.Errorf("%s, trickle %v: %q, %v, want %q, %v", test.name, trickle, name, err, test.want, test.err)
			case !bytes.HasPrefix(test.sent, read), test.exact && len(read) != len(test.sent), len(read) > maxRead:
				t.Errorf("%s, trickle %v: %d of %d bytes were read, or others", test.name, trickle, len(read), len(test.sent))
			}
		}
	}
}

func slicesOf(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, sent, want string
		err              error // nil: any, if want is empty
	}{
		{"HTTP/1.1", "GET /a?b HTTP/1.1\r\nHost: Photos.Example.org\r\n\r\n", "photos.example.org", nil},
		{"with a port", "GET / HTTP/1.1\r\nHost: photos.example.org:8080\r\n\r\n", "photos.example.org", nil},
		{"with a dot", "GET / HTTP/1.1\r\nHost: photos.example.org.\r\n\r\n", "photos.example.org", nil},
		{"with a body", "POST / HTTP/1.1\r\nHost: photos.example.org\r\nContent-Length: 5\r\n\r\n12345", "photos.example.org", nil},
		{"with a body in chunks", "POST / HTTP/1.1\r\nHost: photos.example.org\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", "photos.example.org", nil},
		{"WebSocket", "GET / HTTP/1.1\r\nHost: photos.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "photos.example.org", nil},
		{"HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: photos.example.org\r\n\r\n", "photos.example.org", nil},
		{"lines without CR", "GET / HTTP/1.1\nHost: photos.example.org\n\n", "photos.example.org", nil},
		{"through a proxy", "GET http://photos.example.org/a HTTP/1.1\r\nHost: other.example.org\r\n\r\n", "photos.example.org", nil},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "", ErrNoName},
		{"an address", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "2001:db8::1", nil},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: photos.example.org\r\nhost: other.example.org\r\n\r\n", "", ErrForeign},
		{"one Host twice", "GET / HTTP/1.1\r\nHost: photos.example.org\r\nHost: photos.example.org\r\n\r\n", "", ErrForeign},
		{"HTTP/0.9", "GET /\r\n\r\n", "", ErrForeign},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", ErrForeign},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: photos.example.org\r\n\r\n", "", ErrForeign},
		{"no request", "\r\n\r\n", "", ErrForeign},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "", ErrForeign},
		{"a folded Host", "GET / HTTP/1.1\r\nX: a\r\n Host: photos.example.org\r\n\r\n", "", ErrNoName},
		{"a space before the colon", "GET / HTTP/1.1\r\nHost : photos.example.org\r\n\r\n", "", ErrForeign},
		{"garbage", "GET garbage\x00\xff\r\n\r\n", "", ErrForeign},
		{"without an end", "GET / HTTP/1.1\r\nHost: photos.example.org\r\nX: " + strings.Repeat("x", maxRead), "", errTooLong},
		{"many headers", "GET / HTTP/1.1\r\n" + strings.Repeat("a:\r\n", maxRead), "", errTooLong},
		{"cut", "GET / HTTP/1.1\r\nHost: photos.example.org\r\n", "", io.EOF},
	} {
		for _, trickle := range []bool{false, true} {
			name, request, read, err := HTTP(sends([]byte(test.sent), trickle))
			switch {
			case name != test.want, (err == nil) != (test.want != ""), test.err != nil && !errors.Is(err, test.err):
				t.Errorf("%s, trickle %v: %q, %v, want %q, %v", test.name, trickle, name, err, test.want, test.err)
			case !strings.HasPrefix(test.sent, string(read)) || len(read) > maxRead:
				t.Errorf("%s, trickle %v: other bytes were read", test.name, trickle)
			case (request == nil) != (err != nil && !errors.Is(err, ErrNoName)):
				t.Errorf("%s, trickle %v: the request is %v", test.name, trickle, request)
			}
		}
	}
}

// TestAnswers: answers are those of HTTP/1.1, end the connection, and cannot be forged by what a stranger sent.
func TestAnswers(t *testing.T) {
	t.Parallel()
	request := func(text string) *http.Request {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "Host: www.example.org\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	get := request("GET /a%20b/?c=%0d%0aX:%20y HTTP/1.1\r\n")
	for _, test := range []struct {
		name     string
		answer   []byte
		status   int
		location string
	}{
		{"redirect", Redirect(get, "www.example.org", 443), 308, "https://www.example.org/a%20b/?c=%0d%0aX:%20y"},
		{"redirect to a port", Redirect(get, "www.example.org", 8443), 308, "https://www.example.org:8443/a%20b/?c=%0d%0aX:%20y"},
		{"redirect of two slashes", Redirect(request("GET //other.example HTTP/1.1\r\n"), "www.example.org", 443), 308, "https://www.example.org//other.example"},
		{"redirect through a proxy", Redirect(request("GET http://www.example.org/a HTTP/1.1\r\n"), "www.example.org", 443), 308, "https://www.example.org/a"},
		{"redirect of OPTIONS", Redirect(request("OPTIONS * HTTP/1.1\r\n"), "www.example.org", 443), 308, "https://www.example.org/"},
		{"redirect of CONNECT", Redirect(request("CONNECT www.example.org:443 HTTP/1.1\r\n"), "www.example.org", 443), 308, "https://www.example.org/"},
		{"HEAD", Redirect(request("HEAD /a HTTP/1.1\r\n"), "www.example.org", 443), 308, "https://www.example.org/a"},
		{"unknown", Page(get, 404, fmt.Sprintf("%q", "<script>\r\nX: y")), 404, ""},
		{"unknown, without a request", Page(nil, 404, "none\n"), 404, ""},
		{"bad request", BadRequest([]byte("GET"), false), 400, ""},
		{"wants TLS", BadRequest([]byte("GET"), true), 400, ""},
	} {
		asked := get
		if test.name == "HEAD" {
			asked = &http.Request{Method: "HEAD"}
		}
		r := bufio.NewReader(bytes.NewReader(test.answer))
		response, err := http.ReadResponse(r, asked)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		if response.StatusCode != test.status || response.Header.Get("Location") != test.location || !response.Close || response.Header.Get("X") != "" || err != nil {
			t.Errorf("%s: %v, %v", test.name, response, err)
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 || (len(body) > 0) == (test.name == "HEAD") || strings.Contains(string(body), "\r") {
			t.Errorf("%s: the body is %q, and %q follows", test.name, body, rest)
		}
	}
	if len(BadRequest([]byte{22, 3, 1}, false)) > 0 {
		t.Error("TLS is answered with HTTP")
	}
}

// TestUnrecognizedName: crypto/tls understands the alert.
func TestUnrecognizedName(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	var group sync.WaitGroup
	group.Go(func() {
		far.Read(make([]byte, 16<<10))
		Finish(far, UnrecognizedName)
	})
	err := tls.Client(near, &tls.Config{ServerName: "nobody.example.org"}).Handshake()
	near.Close()
	group.Wait()
	if err == nil || err.Error() != "remote error: tls: unrecognized name" {
		t.Errorf("%v", err)
	}
}

// TestCost: no client costs more memory than Cost until its domain is known.
func TestCost(t *testing.T) {
	const clients = 50
	hello := inRecords(clientHello(t, &tls.Config{ServerName: strings.Repeat("a.", 100) + "b", NextProtos: slicesOf("protocol", 300)}), 1)
	large := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, make([]byte, maxRead-10)...)
	for name, test := range map[string]struct {
		sent []byte
		peek func(net.Conn)
	}{
		"records of one byte": {hello[:min(len(hello), maxRead)-7], func(c net.Conn) { TLS(c) }},
		"a large record":      {large[:maxRead-10], func(c net.Conn) { TLS(c) }},
		"a large header only": {large[:6], func(c net.Conn) { TLS(c) }},
		"many headers":        {[]byte("GET / HTTP/1.1\r\n" + strings.Repeat("a:\r\n", maxRead/4-5)), func(c net.Conn) { HTTP(c) }},
	} {
		var group sync.WaitGroup
		waiting, release := make(chan struct{}, clients), make(chan struct{})
		before := inUse()
		for range clients {
			group.Go(func() {
				test.peek(&stalled{client: client{pieces: [][]byte{test.sent}}, waiting: waiting, release: release})
			})
		}
		for range clients {
			select {
			case <-waiting:
			case <-time.After(time.Minute):
				t.Fatalf("%s: it does not wait for more", name)
			}
		}
		cost := (inUse() - before) / clients
		close(release)
		group.Wait()
		t.Logf("%s: %d bytes a client", name, cost)
		if cost > Cost {
			t.Errorf("%s: a client costs %d bytes, more than %d", name, cost, Cost)
		}
	}
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// stalled is a client that sends no more, but does not leave.
type stalled struct {
	client
	waiting, release chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	n, err := s.client.Read(p)
	if err == io.EOF {
		s.waiting <- struct{}{}
		<-s.release
	}
	return n, err
}

// FuzzTLS and FuzzHTTP: what was read is what was sent, within the limit, and a name comes only without an error.
func FuzzTLS(f *testing.F) {
	f.Add(clientHello(f, &tls.Config{ServerName: "photos.example.org"}))
	f.Add([]byte{22, 3, 1, 0, 8, 1, 0, 0, 4, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, sent []byte) {
		name, read, err := TLS(sends(sent, false))
		if !bytes.HasPrefix(sent, read) || len(read) > maxRead || (name != "") != (err == nil) {
			t.Errorf("%q, %d bytes, %v", name, len(read), err)
		}
	})
}

func FuzzHTTP(f *testing.F) {
	f.Add([]byte("GET http://a.example/ HTTP/1.1\r\nHost: photos.example.org\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\nHost: a\nHost: b\n\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		name, request, read, err := HTTP(sends(sent, false))
		if !bytes.HasPrefix(sent, read) || len(read) > maxRead || (name != "") != (err == nil) {
			t.Errorf("%q, %d bytes, %v", name, len(read), err)
		}
		if err != nil {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(Redirect(request, "www.example.org", 443))), request)
		if err != nil || !strings.HasPrefix(response.Header.Get("Location"), "https://www.example.org/") {
			t.Errorf("%q is answered with %v, %v", sent, response, err)
		}
	})
}
