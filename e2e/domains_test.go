package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// identity is a certificate for names, which is its own authority, and its files.
type identity struct {
	tls.Certificate
	certFile, keyFile string
	roots             *x509.CertPool
}

func newIdentity(t *testing.T, names ...string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	i := identity{
		Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots: x509.NewCertPool(),
		certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"),
	}
	i.roots.AppendCertsFromPEM(writePEM(t, i.certFile, "CERTIFICATE", der))
	writePEM(t, i.keyFile, "PRIVATE KEY", private)
	return i
}

func writePEM(t *testing.T, path, kind string, der []byte) []byte {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return text
}

// site says what it got, and echoes WebSocket connections.
var site = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "websocket" {
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, buffered)
		return
	}
	n, _ := io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, "%s %s %s %s %d%s\n", r.Proto, r.Method, r.Host, r.URL.Path, n, r.Header.Get("Forwarded"))
})

// named is a tunnel with ports for domains, and a node with services from a file.
type named struct {
	*tunnel
	http, https string // ports
	node        *process
}

func newNamed(t *testing.T, services string) *named {
	t.Helper()
	n := newNamedServer(t)
	n.startNode(t, services)
	return n
}

func newNamedServer(t *testing.T) *named {
	t.Helper()
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	n.tunnel = newTunnel(t, "--http", "127.0.0.1:"+n.http, "--https", "127.0.0.1:"+n.https)
	return n
}

func (n *named) startNode(t *testing.T, services string, more ...string) {
	t.Helper()
	n.launchNode(t, t.TempDir(), detached, services, more...)
}

// launchNode starts a node whose file and data are in dir.
func (n *named) launchNode(t *testing.T, dir string, change func(*exec.Cmd), services string, more ...string) {
	t.Helper()
	file := filepath.Join(dir, "node.json")
	text := fmt.Sprintf("{\"server\": %q, \"dataDir\": %q, \"services\": {\n%s\n}}", n.invitation, filepath.Join(dir, "data"), services)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.node = launch(t, change, "apquic-node", append([]string{"-c", file}, more...)...)
}

// curl runs curl for an address of a name, with the scheme https or http, and returns what it prints.
func (n *named) curl(t *testing.T, url, authority string, arguments ...string) string {
	t.Helper()
	out, err := n.tryCurl(url, authority, arguments...)
	if err != nil {
		t.Fatalf("curl %v %s: %v\n%s", arguments, url, err, out)
	}
	return out
}

func (n *named) tryCurl(url, authority string, arguments ...string) (string, error) {
	scheme, rest, _ := strings.Cut(url, "://")
	name, path, _ := strings.Cut(rest, "/")
	port := map[string]string{"https": n.https, "http": n.http}[scheme]
	arguments = append([]string{
		"--silent", "--show-error", "--max-time", "20", "--cacert", authority, "--noproxy", "*",
		"--resolve", name + ":" + n.https + ":127.0.0.1", "--resolve", name + ":" + n.http + ":127.0.0.1",
	}, arguments...)
	out, err := exec.Command("curl", append(arguments, fmt.Sprintf("%s://%s:%s/%s", scheme, name, port, path))...).CombinedOutput()
	return string(out), err
}

func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is missing")
	}
}

// webSocket exchanges a line over a WebSocket connection to a name.
func (n *named) webSocket(t *testing.T, name string, roots *x509.CertPool) {
	t.Helper()
	c, err := tls.Dial("tcp", "127.0.0.1:"+n.https, &tls.Config{ServerName: name, RootCAs: roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(c, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", name)
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", response, err)
	}
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(c, line)
		if got, err := r.ReadString('\n'); got != line || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestDomainsPassed: curl reaches services by name, with HTTP/1.1, HTTP/2 and WebSocket; the upstream ends TLS;
// plain HTTP is sent there; after a restart of the server all is as before.
func TestDomainsPassed(t *testing.T) {
	needCurl(t)
	t.Parallel()
	id := newIdentity(t, "photos.example.org", "*.home.example.org")
	upstream := httptest.NewUnstartedServer(site)
	upstream.TLS = &tls.Config{Certificates: []tls.Certificate{id.Certificate}}
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	defer upstream.Close()
	plain := httptest.NewServer(site)
	defer plain.Close()
	address := upstream.Listener.Addr().String()
	n := newNamed(t, fmt.Sprintf(`
		"photos": {"upstream": %q, "domain": "Photos.example.org", "tls": "pass"},
		"home": {"upstream": %q, "domain": "*.home.example.org"},
		"plain": {"upstream": %q, "domain": "plain.example.org", "http": "serve"}`, address, address, plain.Listener.Addr()))
	for _, expected := range []string{"photos +https://photos.example.org", `home +https://\*.home.example.org`, "plain +https://plain.example.org"} {
		waitFor(t, n.node.stdout, `^`+expected+`:`+n.https+` -> tcp://127.0.0.1:\d+$`)
	}
	check := func() {
		t.Helper()
		port := ":" + n.https
		for _, test := range []struct {
			url, want string
			arguments []string
		}{
			{"https://photos.example.org/a", "HTTP/1.1 GET photos.example.org" + port + " /a 0\n", []string{"--http1.1"}},
			{"https://photos.example.org/a", "HTTP/2.0 GET photos.example.org" + port + " /a 0\n", []string{"--http2"}},
			{"https://tv.home.example.org/b", "HTTP/2.0 POST tv.home.example.org" + port + " /b 5\n", []string{"--data", "12345"}},
			{"http://photos.example.org/c", "HTTP/2.0 GET photos.example.org" + port + " /c 0\n", []string{"--location"}},
			{"http://plain.example.org/d", "HTTP/1.1 GET plain.example.org:" + n.http + " /d 0\n", nil},
		} {
			if got := n.curl(t, test.url, id.certFile, test.arguments...); got != test.want {
				t.Errorf("%s %v: %q, want %q", test.url, test.arguments, got, test.want)
			}
		}
		if got := n.curl(t, "http://unknown.example.org/", id.certFile, "--write-out", "%{http_code}"); !strings.Contains(got, "There is no site") || !strings.HasSuffix(got, "404") {
			t.Errorf("an unknown name: %q", got)
		}
		n.webSocket(t, "photos.example.org", id.roots)
	}
	check()
	_, err := tls.Dial("tcp", "127.0.0.1:"+n.https, &tls.Config{ServerName: "unknown.example.org"})
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("an unknown name: %v", err)
	}
	if out, err := exec.Command(filepath.Join(bin, "apquic-server"), "status", "--data-dir", n.data).Output(); err != nil || !strings.Contains(string(out), "photos.example.org") {
		t.Errorf("%s, %v", out, err)
	}

	n.server.cmd.Process.Kill()
	n.server.status(t)
	n.start(t, "--http", "127.0.0.1:"+n.http, "--https", "127.0.0.1:"+n.https)
	check()
}

// TestDomainTaken: a node that asks for the domain of another is told so, and the domain stays where it was.
func TestDomainTaken(t *testing.T) {
	t.Parallel()
	upstream := echoServer(t)
	service := fmt.Sprintf(`"web": {"upstream": %q, "domain": "www.example.org"}`, upstream)
	n := newNamed(t, service)
	first := n.node
	waitFor(t, first.stdout, `^web +https://www.example.org`)
	text, err := exec.Command(filepath.Join(bin, "apquic-server"), "invite", "--data-dir", n.data).Output()
	if err != nil {
		t.Fatal(err)
	}
	n.invitation = strings.TrimSpace(string(text))
	n.startNode(t, service)
	waitFor(t, n.node.stderr, `the domain www.example.org belongs to another node`)
	if c, err := net.Dial("tcp", "127.0.0.1:"+n.https); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// wantSite compares what clients get of a site for which the node ends TLS.
func (n *named) wantSite(t *testing.T, name, authority string) {
	t.Helper()
	forwarded := fmt.Sprintf("for=127.0.0.1;host=%q;proto=https", name+":"+n.https)
	for _, test := range []struct {
		url, version, want string
		arguments          []string
	}{
		{"https://" + name + "/a", "1.1", "HTTP/1.1 GET " + name + ":" + n.https + " /a 0" + forwarded + "\n", []string{"--http1.1"}},
		{"https://" + name + "/b", "2", "HTTP/1.1 POST " + name + ":" + n.https + " /b 5" + forwarded + "\n", []string{"--http2", "--data", "12345", "--header", "Forwarded: for=evil"}},
		{"http://" + name + "/c", "2", "HTTP/1.1 GET " + name + ":" + n.https + " /c 0" + forwarded + "\n", []string{"--location"}},
	} {
		want := test.want + test.version
		if got := n.curl(t, test.url, authority, append(test.arguments, "--write-out", "%{http_version}")...); got != want {
			t.Errorf("%s %v: %q, want %q", test.url, test.arguments, got, want)
		}
	}
}

// TestDomainsWithFiles: the node ends TLS with certificates in files, also for a wildcard, and passes HTTP on with
// the client's address.
func TestDomainsWithFiles(t *testing.T) {
	needCurl(t)
	t.Parallel()
	id := newIdentity(t, "photos.example.org", "*.home.example.org")
	upstream := httptest.NewServer(site)
	defer upstream.Close()
	address := upstream.Listener.Addr().String()
	n := newNamed(t, fmt.Sprintf(`
		"photos": {"upstream": %q, "domain": "photos.example.org", "tls": "node", "certificate": %q, "key": %q},
		"home": {"upstream": %q, "domain": "*.home.example.org", "http": "serve", "certificate": %q, "key": %q}`,
		address, id.certFile, id.keyFile, address, id.certFile, id.keyFile))
	waitFor(t, n.node.stdout, `^photos +https://photos.example.org:`+n.https+` -> tcp://`)
	waitFor(t, n.node.stdout, `^home +https://\*.home.example.org`)
	n.wantSite(t, "photos.example.org", id.certFile)
	n.webSocket(t, "photos.example.org", id.roots)
	want := "HTTP/1.1 GET tv.home.example.org:" + n.http + " / 0for=127.0.0.1;host=\"tv.home.example.org:" + n.http + "\";proto=http\n"
	if got := n.curl(t, "http://tv.home.example.org/", id.certFile); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := n.curl(t, "https://photos.example.org/", id.certFile, "--header", "Host: tv.home.example.org", "--write-out", "%{http_code}"); !strings.HasSuffix(got, "421") {
		t.Errorf("another site: %q", got)
	}
	begun := time.Now()
	n.node.kill(t, syscall.SIGTERM)
	if status := n.node.status(t); status != 0 || time.Since(begun) > 8*time.Second {
		t.Errorf("it ended with %d after %v", status, time.Since(begun))
	}
}

// TestDomainsWithPebble: the node gets certificates from a real authority, which checks the domain through the
// tunnel, and keeps them; whoever asks for a domain that has none causes no order.
func TestDomainsWithPebble(t *testing.T) {
	needCurl(t)
	t.Parallel()
	upstream := httptest.NewServer(site)
	defer upstream.Close()
	n := newNamedServer(t)
	authority := startPebble(t, n.https, "1")
	dir := t.TempDir()
	trust := func(c *exec.Cmd) { c.Env = append(os.Environ(), "SSL_CERT_FILE="+authority.own.certFile) }
	services := fmt.Sprintf(`"photos": {"upstream": %q, "domain": "photos.example.org", "tls": "node"}`, upstream.Listener.Addr())
	n.launchNode(t, dir, trust, services, "--acme-directory", authority.directory)
	waitFor(t, n.node.stdout, `^photos +https://photos.example.org:`)
	waitFor(t, n.node.stderr, `the domain has a certificate.*photos.example.org`)
	n.wantSite(t, "photos.example.org", authority.roots)

	n.node.kill(t, syscall.SIGTERM)
	n.node.status(t)
	n.launchNode(t, dir, trust, services, "--acme-directory", "https://localhost:1/dir") // nobody there: it has one
	waitFor(t, n.node.stderr, `the domain has a certificate.*photos.example.org`)
	n.wantSite(t, "photos.example.org", authority.roots)
	for _, file := range []string{"acme", filepath.Join("acme", "photos.example.org")} {
		info, err := os.Stat(filepath.Join(dir, "data", file))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}
