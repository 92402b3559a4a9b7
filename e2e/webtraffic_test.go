package e2e

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestDomainOfFolder: a folder has a name and HTTPS, without any other program.
func TestDomainOfFolder(t *testing.T) {
	needCurl(t)
	t.Parallel()
	id := newIdentity(t, "files.example.org")
	folder := t.TempDir()
	for name, text := range map[string]string{"index.html": "<p>home", "video.mp4": "0123456789", ".env": "secret"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := newNamed(t, fmt.Sprintf(`"files": {"upstream": "file:%s", "domain": "files.example.org", "certificate": %q, "key": %q}`, folder, id.certFile, id.keyFile))
	waitFor(t, n.node.stdout, `^files +https://files.example.org:`+n.https+` -> file:`)
	for _, version := range []string{"--http1.1", "--http2"} {
		for path, want := range map[string]string{"": "<p>home 200", "video.mp4": "0123456789 200", ".env": "there is no such file\n 404", "%2e%2e/secret": "there is no such file\n 404"} {
			if got := n.curl(t, "https://files.example.org/"+path, id.certFile, version, "--path-as-is", "--write-out", " %{http_code}"); got != want {
				t.Errorf("%s /%s: %q, want %q", version, path, got, want)
			}
		}
		if got := n.curl(t, "https://files.example.org/video.mp4", id.certFile, version, "--range", "3-5", "--write-out", " %{http_code}"); got != "345 206" {
			t.Errorf("%s, a part: %q", version, got)
		}
	}
	if got := n.curl(t, "http://files.example.org/video.mp4", id.certFile, "--location"); got != "0123456789" {
		t.Errorf("without TLS: %q", got)
	}
}

// TestDomainOfTLSUpstream: the node ends TLS for visitors, and speaks TLS of its own to a service whose
// certificate only the service's own authority knows.
func TestDomainOfTLSUpstream(t *testing.T) {
	needCurl(t)
	t.Parallel()
	id, own, other := newIdentity(t, "cloud.example.org", "wrong.example.org"), newIdentity(t, "localhost"), newIdentity(t, "localhost")
	upstream := httptest.NewUnstartedServer(site)
	upstream.TLS = &tls.Config{Certificates: []tls.Certificate{own.Certificate}}
	upstream.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of a node that does not trust it
	upstream.StartTLS()
	defer upstream.Close()
	_, port, _ := strings.Cut(upstream.Listener.Addr().String(), ":")
	n := newNamed(t, fmt.Sprintf(`
		"cloud": {"upstream": "https://localhost:%s", "ca": %q, "domain": "cloud.example.org", "certificate": %q, "key": %q},
		"wrong": {"upstream": "https://localhost:%s", "ca": %q, "domain": "wrong.example.org", "certificate": %q, "key": %q}`,
		port, own.certFile, id.certFile, id.keyFile, port, other.certFile, id.certFile, id.keyFile))
	waitFor(t, n.node.stdout, `^cloud +https://cloud.example.org:`+n.https+` -> https://`)
	waitFor(t, n.node.stdout, `^wrong +https://`)
	n.wantSite(t, "cloud.example.org", id.certFile)
	n.webSocket(t, "cloud.example.org", id.roots)
	if got := n.curl(t, "https://wrong.example.org/", id.certFile, "--write-out", "%{http_code}"); got != "The service behind this site does not answer.\n502" {
		t.Errorf("an upstream with another authority: %q", got)
	}
}

// TestHostOfUpstream: nginx that answers to one name alone is reached by curl at another one, and at a port, and its
// health is asked for by that name, too; visitors are led back to the name that they used.
func TestHostOfUpstream(t *testing.T) {
	needCurl(t)
	t.Parallel()
	id := newIdentity(t, "cloud.example.org", "chat.example.org")
	upstream := nginx(t, `listen LISTEN; 
		if ($http_host != nas.local) { return 403 "who is $http_host?"; }
		location = /login { return 302 http://nas.local/in; }
		location / { return 200 "$http_host $http_x_forwarded_host $http_x_forwarded_proto"; }`)
	chat := httptest.NewServer(site)
	defer chat.Close()
	n := newNamedServer(t)
	n.startNode(t, fmt.Sprintf(`
		"cloud": {"upstream": "http://%[1]s", "host": "nas.local", "health": "/", "domain": "cloud.example.org", "certificate": %[2]q, "key": %[3]q},
		"chat": {"upstream": "http://%[4]s", "host": "nas.local", "domain": "chat.example.org", "certificate": %[2]q, "key": %[3]q},
		"web": {"upstream": "http://%[1]s", "host": "nas.local"}`, upstream, id.certFile, id.keyFile, chat.Listener.Addr()), "--log-level", "debug")
	waitFor(t, n.node.stdout, `^cloud +https://cloud.example.org:`+n.https+` -> http://`)
	waitFor(t, n.node.stdout, `^chat +https://`)
	waitFor(t, n.node.stdout, `^web +tcp://`)
	for _, version := range []string{"--http1.1", "--http2"} {
		if got, want := n.curl(t, "https://cloud.example.org/", id.certFile, version), "nas.local cloud.example.org:"+n.https+" https"; got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
		if got, want := n.curl(t, "https://cloud.example.org/login", id.certFile, version, "--write-out", "%{redirect_url}", "--output", os.DevNull), "https://cloud.example.org:"+n.https+"/in"; got != want {
			t.Errorf("%s is led to %q, want %q", version, got, want)
		}
	}
	n.webSocket(t, "chat.example.org", id.roots)
	for _, version := range []string{"--http1.1", "--http2-prior-knowledge"} {
		if got, want := curl(t, "--noproxy", "*", version, "http://"+n.webAddress(t)+"/"), "nas.local "+n.webAddress(t)+" http"; got != want {
			t.Errorf("the port, %s: %q, want %q", version, got, want)
		}
	}
	if strings.Contains(n.node.stderr.text(), "unhealthy") {
		t.Errorf("the health check asks for another name:\n%s", n.node.stderr.text())
	}
}

// TestHostWhereServerEndsTLS: the node asks for another name also where it gets the requests from the server, at a domain
// and at a name below the server's.
func TestHostWhereServerEndsTLS(t *testing.T) {
	needCurl(t)
	t.Parallel()
	folder := t.TempDir()
	id := newIdentity(t, "cloud.example.org", "*.tunnel.example.org")
	copyIdentity(t, id, folder, "all")
	upstream := nginx(t, `listen LISTEN; location / { return 200 "$http_host $http_x_forwarded_host $http_x_forwarded_proto $http_x_forwarded_for"; }`)
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	newEnding(t, n, "", "--certificates", folder, "--domain", "tunnel.example.org")
	n.startNode(t, fmt.Sprintf(`
		"cloud": {"upstream": "http://%[1]s", "host": "nas.local", "domain": "cloud.example.org", "tls": "terminate"},
		"web": {"upstream": "http://%[1]s", "host": "nas.local"}`, upstream))
	waitFor(t, n.node.stdout, `^cloud +https://cloud.example.org:`+n.https+` -> http://`)
	waitFor(t, n.node.stdout, `^web +tcp://`)
	own := waitFor(t, n.node.stdout, `^web +https://(web-[a-z2-7]{16}\.tunnel\.example\.org):`+n.https+` -> http://`)
	for _, version := range []string{"--http1.1", "--http2"} {
		for _, name := range []string{"cloud.example.org", own} {
			if got, want := n.curl(t, "https://"+name+"/", id.certFile, version), "nas.local "+name+":"+n.https+" https 127.0.0.1"; got != want {
				t.Errorf("%s, %s: %q, want %q", name, version, got, want)
			}
		}
	}
	if got, want := curl(t, "--noproxy", "*", "http://"+n.webAddress(t)+"/"), "nas.local "+n.webAddress(t)+" http 127.0.0.1"; got != want {
		t.Errorf("the port: %q, want %q", got, want)
	}
}

// TestEventsThroughDomain: each event reaches curl before the next one is sent.
func TestEventsThroughDomain(t *testing.T) {
	needCurl(t)
	t.Parallel()
	id := newIdentity(t, "events.example.org")
	next := make(chan int)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		for number := range next {
			http.NewResponseController(w).Flush()
			fmt.Fprintf(w, "data: %d\n\n", number)
			http.NewResponseController(w).Flush()
		}
	}))
	defer upstream.Close()
	n := newNamed(t, fmt.Sprintf(`"events": {"upstream": %q, "domain": "events.example.org", "certificate": %q, "key": %q}`, upstream.URL, id.certFile, id.keyFile))
	waitFor(t, n.node.stdout, `^events +https://`)
	curl := exec.Command("curl", "--silent", "--show-error", "--no-buffer", "--max-time", "60", "--cacert", id.certFile, "--noproxy", "*",
		"--resolve", "events.example.org:"+n.https+":127.0.0.1", "https://events.example.org:"+n.https+"/")
	out, err := curl.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := curl.Start(); err != nil {
		t.Fatal(err)
	}
	events := bufio.NewReader(out)
	for i := range 5 {
		next <- i
		event, err := events.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || event != want {
			t.Errorf("%q, %v, want %q", event, err, want)
			break
		}
		events.ReadString('\n')
	}
	close(next)
	if err := curl.Wait(); err != nil {
		t.Error(err)
	}
}

// TestLongTransfersThroughDomain: 64 MB each way with curl, over HTTP/1.1 and HTTP/2, arrive unchanged.
func TestLongTransfersThroughDomain(t *testing.T) {
	needCurl(t)
	t.Parallel()
	const size = 64 << 20
	id := newIdentity(t, "files.example.org")
	file := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, hash), rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	sum := fmt.Sprintf("%x", hash.Sum(nil))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			http.ServeFile(w, r, file)
			return
		}
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, hash.Sum(nil), err)
	}))
	defer upstream.Close()
	n := newNamed(t, fmt.Sprintf(`"files": {"upstream": %q, "domain": "files.example.org", "certificate": %q, "key": %q}`, upstream.URL, id.certFile, id.keyFile))
	waitFor(t, n.node.stdout, `^files +https://`)
	const patience = "300" // for machines with other things to do
	for _, version := range []string{"--http1.1", "--http2"} {
		if got, want := n.curl(t, "https://files.example.org/", id.certFile, version, "--max-time", patience, "--upload-file", file), fmt.Sprintf("%d %s <nil>", size, sum); got != want {
			t.Errorf("%s, up: %s, want %s", version, got, want)
		}
		got := filepath.Join(t.TempDir(), "got")
		n.curl(t, "https://files.example.org/", id.certFile, version, "--max-time", patience, "--output", got)
		text, err := os.ReadFile(got)
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(text)) != sum {
			t.Errorf("%s, down: %d bytes, %v", version, len(text), err)
		}
	}
}

// installRouteGuide builds the example of grpc-go that has all four kinds of calls.
var installRouteGuide = sync.OnceValues(func() (string, error) {
	return buildForeign("routeguide", "0", []string{"google.golang.org/grpc/examples/route_guide/client@v0.0.0-20260825154716-030ee8becb20"},
		[]string{"google.golang.org/grpc/examples/route_guide/client", "google.golang.org/grpc/examples/route_guide/server"})
})

// TestGRPCThroughDomain: client and server of grpc-go, with single calls and streams in one and both
// directions, where the node ends TLS, and where the server does.
func TestGRPCThroughDomain(t *testing.T) {
	t.Parallel()
	if out, err := installRouteGuide(); err != nil {
		t.Skipf("the example of grpc-go cannot be built, which needs the module proxy or its modules: %v\n%s", err, out)
	}
	id := newIdentity(t, "grpc.example.org")
	port := strconv.Itoa(freePort(t))
	launch(t, detached, filepath.Join("routeguide", "server"), "-port", port)
	waitForPort(t, port)
	for name, ends := range map[string]string{
		"node":   fmt.Sprintf(`"certificate": %q, "key": %q`, id.certFile, id.keyFile),
		"server": `"tls": "terminate"`,
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			copyIdentity(t, id, folder, "grpc")
			n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
			newEnding(t, n, "", "--certificates", folder)
			n.startNode(t, fmt.Sprintf(`"grpc": {"upstream": "http://localhost:%s", "domain": "grpc.example.org", %s}`, port, ends))
			waitFor(t, n.node.stdout, `^grpc +https://`)
			client := launch(t, detached, filepath.Join("routeguide", "client"), "-addr", "127.0.0.1:"+n.https, "-tls", "-ca_file", id.certFile, "-server_host_override", "grpc.example.org")
			if status := client.status(t); status != 0 {
				t.Errorf("the client ended with %d", status)
			}
			for _, answer := range []string{"Berkshire Valley Management Area", "Route summary: point_count:", "Got message Third message"} {
				waitFor(t, client.stderr, answer)
			}
		})
	}
}
