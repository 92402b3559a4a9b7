package control

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/hint"
)

// guarded serves "inside" behind a guard at an address of this machine until the end of the test.
func guarded(t *testing.T, a Address) (address, token string) {
	t.Helper()
	a.Listen, a.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	a.DataDir = t.TempDir()
	listener, guard, err := a.open()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(a.DataDir, TokenName))
	if made := err == nil; made != (len(a.Admins) == 0) {
		t.Fatalf("with the admins %v: %v", a.Admins, err)
	}
	token = strings.TrimSpace(string(text))
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := Serve(ctx, listener, guard.Protect(http.HandlerFunc(inside))); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); serving.Wait() })
	return listener.Addr().String(), token
}

func inside(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, "inside")
}

// ask writes a request as it is and returns the status of the answer and its body; 0: there was none.
func ask(t *testing.T, address, request string) (status int, body string, header http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, request) // fails if the other side has heard enough
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", nil
	}
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text), response.Header
}

// TestGuard: only the owner gets in, and no web site that the owner's browser shows.
func TestGuard(t *testing.T) {
	t.Parallel()
	address, token := guarded(t, Address{Hosts: []string{"tunnel.example.org"}})
	right := "Authorization: Bearer " + token + "\r\n"
	posts := func(host, headers, body string) string {
		return fmt.Sprintf("POST /api HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s", host, headers, len(body), body)
	}
	get := func(path, host, headers string) string {
		return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host, headers)
	}
	const json = "Content-Type: application/json\r\n"
	for name, test := range map[string]struct {
		request string
		want    int
	}{
		"the owner":                   {get("/", address, right), 200},
		"the owner changes something": {posts(address, right+json, "{}"), 200},
		"in UTF-8":                    {posts(address, right+"Content-Type: application/json; charset=utf-8\r\n", "{}"), 200},
		"the owner's own page":        {posts(address, right+json+"Sec-Fetch-Site: same-origin\r\nOrigin: http://"+address+"\r\n", "{}"), 200},
		"by a name of this machine":   {get("/", "localhost:8090", right), 200},
		"by its own name":             {get("/", "Tunnel.example.org", right), 200},
		"by IPv6":                     {get("/", "[::1]:8090", right), 200},
		"a link to a page":            {get("/", address, right+"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"), 200},
		"a last slash":                {get("/api/", address, right), 200},
		"a query":                     {get("/api?a=%2e%2e//", address, right), 200},
		"whether it runs":             {get("/healthz", address, ""), 200},
		"whether it is ready":         {get("/readyz?verbose", address, "Authorization: Bearer wrong\r\n"), 200},
		"that by another name":        {get("/healthz", "evil.example", ""), 421},
		"that from another site":      {get("/readyz", address, "Sec-Fetch-Site: cross-site\r\n"), 403},
		"changing that":               {posts(address, json, "{}")[:5] + "/healthz" + strings.TrimPrefix(posts(address, json, "{}"), "POST /api"), 401},
		"below that":                  {get("/healthz/", address, ""), 401},
		"like that":                   {get("/healthz/../api", address, ""), 400},
		"in other letters":            {get("/HEALTHZ", address, ""), 401},
		"the numbers":                 {get("/metrics", address, ""), 401},
		"no token":                    {get("/", address, ""), 401},
		"an empty token":              {get("/", address, "Authorization: Bearer \r\n"), 401},
		"half of a token":             {get("/", address, right[:60]+"\r\n"), 401},
		"another kind":                {get("/", address, "Authorization: Basic "+token+"\r\n"), 401},
		"a token in the address":      {get("/?token="+token, address, ""), 401},
		"another name":                {get("/", "evil.example", right), 421},
		"another name with a port":    {get("/", "evil.example:8090", right), 421},
		"a name like ours":            {get("/", "localhost.evil.example", right), 421},
		"no name":                     {"GET / HTTP/1.0\r\n" + right + "\r\n", 421},
		"a name in the request line":  {get("http://evil.example/", address, right), 421},
		"another site asks":           {get("/", address, right+"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"), 403},
		"a neighbour site asks":       {get("/", address, right+"Sec-Fetch-Site: same-site\r\n"), 403},
		"another site's form":         {posts(address, right+"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nContent-Type: application/x-www-form-urlencoded\r\n", "a=b"), 403},
		"another site's script":       {posts(address, right+json+"Origin: https://evil.example\r\n", "{}"), 403},
		"a page without origin":       {posts(address, right+json+"Origin: null\r\n", "{}"), 403},
		"an old browser's form":       {posts(address, right+"Content-Type: text/plain\r\n", "{}"), 415},
		"a change of no type":         {posts(address, right, "{}"), 415},
		"a long body":                 {posts(address, right+json, strings.Repeat(" ", maxBody+1)), 413},
		"a long body of unknown length": {"POST /api HTTP/1.1\r\nHost: " + address + "\r\n" + right + json + "Transfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", maxBody+1, strings.Repeat(" ", maxBody+1)), 413},
		"a body with GET":    {get("/healthz", address, "Content-Length: 2\r\n") + "{}", 400},
		"one without length": {get("/healthz", address, "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
		"two slashes":        {get("//api", address, right), 400},
		"dots":               {get("/a/../api", address, right), 400},
		"encoded dots":       {get("/a/%2e%2e/api", address, right), 400},
		"encoded slash":      {get("/api%2fv1", address, right), 400},
		"encoded letter":     {get("/%61pi", address, right), 400},
		"encoded twice":      {get("/%2561pi", address, right), 400},
		"backslash":          {get(`/a\..\api`, address, right), 400},
		"a zero byte":        {get("/api%00", address, right), 400},
		"everything":         {"OPTIONS * HTTP/1.1\r\nHost: " + address + "\r\n\r\n", 400},
		"preflight":          {"OPTIONS /api HTTP/1.1\r\nHost: " + address + "\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n", 405},
		"trace":              {"TRACE / HTTP/1.1\r\nHost: " + address + "\r\n\r\n", 405},
		"a tunnel":           {"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", 400},
		"long headers":       {get("/", address, right+"X: "+strings.Repeat("x", 4*maxHeader)+"\r\n"), 431},
		"HTTP/2 at once":     {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		"HTTP/2 upgraded":    {get("/", address, right+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"), 200},
	} {
		status, body, header := ask(t, address, test.request)
		if status != test.want || (status == 200) != (body == "inside") {
			t.Errorf("%s: %d, want %d: %s", name, status, test.want, body)
		}
		if strings.Contains(body, token) || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %s %v", name, body, header)
		}
		if status == 200 && (header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'")) {
			t.Errorf("%s: the headers are %v", name, header)
		}
	}
}

// TestWrongTokens: an address may try few of them, and then not even the right one for a moment; others may.
func TestWrongTokens(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	guard := NewGuard("the right one", nil, nil, slog.New(slog.NewTextHandler(&told, nil))).Protect(http.HandlerFunc(inside))
	try := func(from, token string) int {
		r, _ := http.NewRequest("GET", "http://127.0.0.1/", http.NoBody)
		r.RemoteAddr = from
		r.Header.Set("Authorization", "Bearer "+token)
		w := &recorder{header: make(http.Header)}
		guard.ServeHTTP(w, r)
		return w.status
	}
	for i := range wrongBurst {
		if status := try(fmt.Sprintf("192.0.2.1:%d", 1000+i), "wrong"); status != http.StatusUnauthorized {
			t.Errorf("try %d: %d", i, status)
		}
	}
	for _, token := range []string{"wrong", "the right one"} {
		if status := try("192.0.2.1:2000", token); status != http.StatusTooManyRequests {
			t.Errorf("%s after %d wrong ones: %d", token, wrongBurst, status)
		}
	}
	if status := try("192.0.2.2:2000", "the right one"); status != http.StatusOK {
		t.Errorf("another address: %d", status)
	}
	for i := range wrongBurst {
		try(fmt.Sprintf("[2001:db8::%x]:1", i), "wrong")
	}
	if status := try("[2001:db8::ffff:1]:1", "wrong"); status != http.StatusTooManyRequests {
		t.Errorf("a neighbour in the same /64: %d", status)
	}
	if n := strings.Count(told.String(), "\n"); n != 1 || strings.Contains(told.String(), "token=") {
		t.Errorf("the log has %d lines: %s", n, told.String())
	}
	tries := newTries(wrongRate, wrongBurst)
	for i := range 3 * maxNetworks {
		tries.count(network(fmt.Sprintf("[2001:db8:0:%x::1]:1", i)))
	}
	if n := len(tries.of); n > maxNetworks {
		t.Errorf("%d addresses are remembered", n)
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) { r.WriteHeader(http.StatusOK); return len(p), nil }

// TestIdleConnections: neither silent connections nor ones that send a request byte by byte keep the owner out, and no
// more than so many exist.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	address, token := guarded(t, Address{})
	var conns []net.Conn
	for i := range 3 * maxConnections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: ")
		}
		conns = append(conns, conn)
	}
	status, body, _ := ask(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	if status != http.StatusOK {
		t.Fatalf("the owner gets %d %s", status, body)
	}
	ended, deadline := 0, time.Now().Add(2*time.Second)
	for _, conn := range conns { // the first ones had to make room
		conn.SetReadDeadline(deadline)
		if _, err := conn.Read(make([]byte, 1)); err != nil && !os.IsTimeout(err) {
			ended++
		}
	}
	if least := 2*maxConnections + 1; ended < least {
		t.Errorf("%d connections were ended, want at least %d", ended, least)
	}
}

// TestSlowRequests are ended in time.
func TestSlowRequests(t *testing.T) {
	t.Parallel()
	address, token := guarded(t, Address{})
	for name, request := range map[string]string{
		"headers": "GET / HTTP/1.1\r\nHost: localhost\r\n",
		"body":    "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			status, _, _ := ask(t, address, request)
			if took := time.Since(begin); status == http.StatusOK || took > 45*time.Second {
				t.Errorf("%d after %v", status, took)
			}
		})
	}
}

// TestAdminKeys: with TLS, the keys of admins are admitted, and no others.
func TestAdminKeys(t *testing.T) {
	t.Parallel()
	newKey := func() certs.PrivateKey {
		key, err := certs.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	server, admin, other := newKey(), newKey(), newKey()
	address, _ := guarded(t, Address{Admins: []certs.NodeID{admin.ID()}, Key: server})
	for name, test := range map[string]struct {
		key  certs.PrivateKey
		want int
	}{"an admin": {admin, 200}, "another node": {other, 401}, "the server itself": {server, 401}, "nobody": {certs.PrivateKey{}, 401}} {
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
		if !test.key.IsZero() {
			var err error
			if config, err = certs.AdminTLS(test.key); err != nil {
				t.Fatal(err)
			}
			config.InsecureSkipVerify = true
		}
		var peer certs.NodeID
		config.VerifyConnection = func(state tls.ConnectionState) (err error) {
			peer, err = certs.AdminPeer(state)
			return err
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		response, err := client.Get("https://" + address + "/")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		response.Body.Close()
		client.CloseIdleConnections()
		if response.StatusCode != test.want || peer != server.ID() {
			t.Errorf("%s: %s by %v", name, response.Status, peer)
		}
	}
	if status, _, _ := ask(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); status == http.StatusOK || status == http.StatusUnauthorized {
		t.Errorf("without TLS: %d", status)
	}
}

// TestAddresses: a token travels over no network in the clear, and no address is open without one.
func TestAddresses(t *testing.T) {
	t.Parallel()
	some := []certs.NodeID{{1}}
	for listen, want := range map[string]string{
		"127.0.0.1:8090": "", "[::1]:8090": "", "localhost:0": "",
		":8090": "other machines", "0.0.0.0:8090": "other machines", "192.0.2.1:8090": "other machines", "[::]:1": "other machines",
		"example.org:8090": "not an IP address", "8090": "want an IP", "": "want an IP",
	} {
		err := Address{Listen: listen}.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", listen, err, want)
		}
		if want == "other machines" {
			if hint.Of(err) == "" || (Address{Listen: listen, Admins: some}).Check() != nil {
				t.Errorf("%q has no hint, or is refused with TLS", listen)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (Address{Listen: "127.0.0.1:0", TokenFile: path}).open(); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a short token: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (Address{Listen: "127.0.0.1:0", TokenFile: path}).open(); err == nil || hint.Of(err) == "" {
		t.Errorf("a token that others can read: %v", err)
	}
}

// TestBodiesThatNeverCome: strangers who announce a body and send none get their answer, and hold no place that the owner
// needs meanwhile: even if they ask what anybody may.
func TestBodiesThatNeverCome(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"a change": "POST /api HTTP/1.1\r\n", "a question": "GET /healthz HTTP/1.1\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, token := guarded(t, Address{})
			for range maxConnections + 10 {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				io.WriteString(conn, first+"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n")
			}
			time.Sleep(100 * time.Millisecond) // for real: the server has read them
			begin := time.Now()
			status, body, _ := ask(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+"\r\n\r\n")
			if took := time.Since(begin); status != http.StatusOK || took > 3*time.Second {
				t.Errorf("the owner gets %d %q after %v", status, body, took)
			}
		})
	}
}
