package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newEnding is a server that ends TLS, started with more arguments and trust in an authority.
func newEnding(t *testing.T, n *named, trust string, more ...string) {
	t.Helper()
	n.tunnel = &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	n.startEnding(t, trust, more...)
}

func (n *named) startEnding(t *testing.T, trust string, more ...string) {
	t.Helper()
	change := func(c *exec.Cmd) {
		detached(c)
		if trust != "" {
			c.Env = append(c.Env, "SSL_CERT_FILE="+trust)
		}
	}
	n.launch(t, change, append([]string{"--http", "127.0.0.1:" + n.http, "--https", "127.0.0.1:" + n.https}, more...)...)
}

// TestTerminationWithPebble: the server gets certificates from a real authority, which checks the domain by TLS, or
// without it if that is not possible; it keeps them over a restart, and asks for no name that nobody has leased.
func TestTerminationWithPebble(t *testing.T) {
	needCurl(t)
	t.Parallel()
	for _, kind := range []string{"tls-alpn-01", "http-01"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			upstream := httptest.NewServer(site)
			defer upstream.Close()
			n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
			tlsPort, httpPort := n.https, "1"
			if kind == "http-01" {
				tlsPort, httpPort = "1", n.http
			}
			authority := startPebble(t, tlsPort, httpPort)
			newEnding(t, n, authority.own.certFile, "--acme", "--acme-directory", authority.directory, "--domain", "tunnel.example.org")
			n.startNode(t, fmt.Sprintf(`
				"photos": {"upstream": "http://%s", "domain": "photos.example.org", "tls": "terminate"}`, upstream.Listener.Addr()))
			waitFor(t, n.node.stdout, `^photos +https://photos.example.org:`)
			waitFor(t, n.server.stderr, `the domain has a certificate.*photos.example.org`)
			n.wantSite(t, "photos.example.org", authority.roots)
			for _, name := range []string{"unknown.example.org", "photos.tunnel.example.org"} {
				if _, err := tls.Dial("tcp", "127.0.0.1:"+n.https, &tls.Config{ServerName: name}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
					t.Errorf("%s: %v", name, err)
				}
			}
			n.server.kill(t, syscall.SIGTERM)
			if status := n.server.status(t); status != 0 {
				t.Errorf("the server ended with %d", status)
			}
			n.startEnding(t, "", "--acme", "--acme-directory", "https://localhost:1/dir") // nobody there: it has one
			waitFor(t, n.server.stderr, `the domain has a certificate.*photos.example.org`)
			n.wantSite(t, "photos.example.org", authority.roots)
			for _, file := range []string{"acme", filepath.Join("acme", "photos.example.org")} {
				if info, err := os.Stat(filepath.Join(n.data, file)); err != nil || info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s: %v, %v", file, info, err)
				}
			}
		})
	}
}

// copyIdentity puts a certificate and its key into a folder.
func copyIdentity(t *testing.T, i identity, folder, name string) {
	t.Helper()
	for from, to := range map[string]string{i.certFile: name + ".crt", i.keyFile: name + ".key"} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, to), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTerminationWithFiles: the server ends TLS with certificates from files, which may be replaced while it runs, and
// passes on HTTP in both versions, WebSocket, gRPC and long transfers, and what is not HTTP. Services with a port have
// names below the server's domain, from which a wildcard certificate comes.
func TestTerminationWithFiles(t *testing.T) {
	needCurl(t)
	t.Parallel()
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(endedSite))
	upstream.Config.Protocols = new(http.Protocols)
	upstream.Config.Protocols.SetHTTP1(true)
	upstream.Config.Protocols.SetUnencryptedHTTP2(true)
	upstream.Start()
	defer upstream.Close()
	folder := t.TempDir()
	id := newIdentity(t, "photos.example.org", "*.home.example.org", "shell.example.org", "*.tunnel.example.org")
	copyIdentity(t, id, folder, "all")
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	newEnding(t, n, "", "--certificates", folder, "--domain", "tunnel.example.org")
	web := "http://" + upstream.Listener.Addr().String()
	n.startNode(t, fmt.Sprintf(`
		"photos": {"upstream": %q, "domain": "photos.example.org", "tls": "terminate"},
		"home": {"upstream": %q, "domain": "*.home.example.org", "tls": "terminate", "http": "serve"},
		"shell": {"upstream": %q, "domain": "shell.example.org", "tls": "terminate"},
		"other": {"upstream": %q, "domain": "other.example.org", "tls": "terminate"},
		"web": %q`, web, web, echoServer(t), web, web))
	waitFor(t, n.node.stdout, `^photos +https://photos.example.org:`+n.https+` -> http://`)
	waitFor(t, n.node.stderr, `other.*this server has no certificate for other.example.org.*--certificates`)
	waitFor(t, n.node.stdout, `^web +tcp://`)
	own := waitFor(t, n.node.stdout, `^web +https://(web-[a-z2-7]{16}\.tunnel\.example\.org):`+n.https+` -> http://`)
	n.wantSite(t, "photos.example.org", id.certFile)
	n.wantSite(t, own, id.certFile)
	n.webSocket(t, "photos.example.org", id.roots)
	n.webSocket(t, own, id.roots)
	want := "HTTP/1.1 GET tv.home.example.org:" + n.http + " / 0for=127.0.0.1;host=\"tv.home.example.org:" + n.http + "\";proto=http\n"
	if got := n.curl(t, "http://tv.home.example.org/", id.certFile, "--header", "X-Forwarded-For: 192.0.2.1", "--header", "Forwarded: for=192.0.2.1"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := n.curl(t, "https://photos.example.org/", id.certFile, "--header", "Host: tv.home.example.org", "--write-out", "%{http_code}"); !strings.HasSuffix(got, "421") {
		t.Errorf("another site: %q", got)
	}
	if status, err := exec.Command(filepath.Join(bin, "apquic-node"), "status", "--data-dir", n.nodeData(t)).CombinedOutput(); err != nil || !strings.Contains(string(status), "https://"+own) {
		t.Errorf("%s, %v", status, err)
	}
	n.callGRPC(t, "photos.example.org", id)
	n.transferLong(t, own, id)
	c, err := tls.Dial("tcp", "127.0.0.1:"+n.https, &tls.Config{ServerName: "shell.example.org", RootCAs: id.roots})
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, c, "through the shell\n")
	c.Close()
	plain, err := net.Dial("tcp", n.webAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	plain.Close()

	next := newIdentity(t, "photos.example.org")
	copyIdentity(t, next, folder, "all")
	for deadline := time.Now().Add(maxWait); ; time.Sleep(200 * time.Millisecond) {
		c, err := tls.Dial("tcp", "127.0.0.1:"+n.https, &tls.Config{ServerName: "photos.example.org", RootCAs: next.roots})
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the replaced certificate is not in use: %v", err)
		}
	}
	n.wantSite(t, "photos.example.org", next.certFile)
	begun := time.Now()
	n.server.kill(t, syscall.SIGTERM)
	if status := n.server.status(t); status != 0 || time.Since(begun) > 14*time.Second {
		t.Errorf("it ended with %d after %v", status, time.Since(begun))
	}
}

// nodeData is the data directory of the node.
func (n *named) nodeData(t *testing.T) string {
	t.Helper()
	for i, argument := range n.node.cmd.Args {
		if argument == "-c" {
			return filepath.Join(filepath.Dir(n.node.cmd.Args[i+1]), "data")
		}
	}
	t.Fatal("the node has no file")
	return ""
}

// webAddress is where the port of the service web is.
func (n *named) webAddress(t *testing.T) string {
	t.Helper()
	match := regexp.MustCompile(`web +tcp://(127\.0\.0\.1:\d+) `).FindStringSubmatch(n.node.stdout.text())
	if match == nil {
		t.Fatal("the service web has no port")
	}
	return match[1]
}

// endedSite is site, echoes gRPC messages with trailers, and sends and takes long bodies.
func endedSite(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		control := http.NewResponseController(w)
		control.Flush()
		for message := make([]byte, 5); ; {
			if _, err := io.ReadFull(r.Body, message); err != nil {
				break
			}
			w.Write(message)
			control.Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	case r.URL.Path == "/upload":
		sum := sha256.New()
		io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%x", sum.Sum(nil))
	case r.URL.Path == "/download":
		w.Write(longBody)
	default:
		site(w, r)
	}
}

var longBody = bytes.Repeat([]byte("what is sent "), 4<<20)

// callGRPC makes a call with messages that take turns, and trailers.
func (n *named) callGRPC(t *testing.T, name string, id identity) {
	t.Helper()
	body, send := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+name+"/service/method", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc+proto")
	request.Header.Set("Te", "trailers")
	response, err := n.client(t, id.roots).Do(request)
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
	if rest, err := io.ReadAll(response.Body); len(rest) > 0 || err != nil || response.Trailer.Get("Grpc-Status") != "0" || response.ProtoMajor != 2 {
		t.Errorf("%q, %v, %s, trailers %v", rest, err, response.Proto, response.Trailer)
	}
}

// transferLong sends and gets 52 MB.
func (n *named) transferLong(t *testing.T, name string, id identity) {
	t.Helper()
	client := n.client(t, id.roots)
	response, err := client.Post("https://"+name+"/upload", "application/octet-stream", bytes.NewReader(longBody))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := io.ReadAll(response.Body)
	response.Body.Close()
	if want := fmt.Sprintf("%x", sha256.Sum256(longBody)); string(sum) != want || err != nil {
		t.Errorf("the upload has %s, want %s, %v", sum, want, err)
	}
	if response, err = client.Get("https://" + name + "/download"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !bytes.Equal(got, longBody) {
		t.Errorf("%d of %d bytes came, %v", len(got), len(longBody), err)
	}
}

// TestOwnNamesAtTheNode: the node ends TLS for its name below the server's domain if it is told to, with a certificate
// for it by ACME, through the tunnel; without that there is no name where the server ends no TLS.
func TestOwnNamesAtTheNode(t *testing.T) {
	needCurl(t)
	t.Parallel()
	upstream := httptest.NewServer(site)
	defer upstream.Close()
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	authority := startPebble(t, n.https, "1")
	newEnding(t, n, "", "--domain", "tunnel.example.org", "--range", fmt.Sprintf("%d,%d", freePort(t), freePort(t)))
	trust := func(c *exec.Cmd) { c.Env = append(os.Environ(), "SSL_CERT_FILE="+authority.own.certFile) }
	n.launchNode(t, t.TempDir(), trust, fmt.Sprintf(`"web": {"upstream": "http://%s", "tls": "node"}, "silent": "http://%[1]s"`, upstream.Listener.Addr()), "--acme-directory", authority.directory)
	own := waitFor(t, n.node.stdout, `^web +https://(web-[a-z2-7]{16}\.tunnel\.example\.org):`+n.https+` -> http://`)
	waitFor(t, n.node.stdout, `^silent +tcp://`)
	waitFor(t, n.node.stderr, `the domain has a certificate.*`+own)
	n.wantSite(t, own, authority.roots)
	if _, err := http.Get("http://" + n.webAddress(t) + "/"); err != nil {
		t.Errorf("the port: %v", err)
	}
	if strings.Contains(n.node.stdout.text(), "https://silent-") {
		t.Errorf("a service has a name that it did not ask for:\n%s", n.node.stdout.text())
	}
}
