package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rewrite gives the node that launchNode started in dir other services, as editors write a file.
func (n *named) rewrite(t *testing.T, dir, services string) {
	t.Helper()
	file := filepath.Join(dir, "node.json")
	text := fmt.Sprintf("{\"server\": %q, \"dataDir\": %q, \"services\": {\n%s\n}}", n.invitation, filepath.Join(dir, "data"), services)
	if err := os.WriteFile(file+"~", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
}

// TestSitesFollowTheirFile: a node that ends TLS gets other upstreams, a password, and another name, by SIGHUP. Requests
// and WebSockets that run go on, and no visitor is refused meanwhile.
func TestSitesFollowTheirFile(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "photos.example.org", "films.example.org")
	first, second := httptest.NewServer(site), httptest.NewServer(site)
	defer first.Close()
	defer second.Close()
	service := func(name, domain string, upstream *httptest.Server, more string) string {
		return fmt.Sprintf(`%q: {"upstream": %q, "domain": %q, "tls": "node", "certificate": %q, "key": %q%s}`,
			name, upstream.Listener.Addr(), domain, id.certFile, id.keyFile, more)
	}
	n, dir := newNamedServer(t), t.TempDir()
	n.launchNode(t, dir, detached, service("photos", "photos.example.org", first, ""), "--drain", "1s")
	waitFor(t, n.node.stdout, `^photos +https://photos.example.org`)
	socket := n.openWebSocket(t, "photos.example.org", id)
	talk := func() {
		t.Helper()
		line := make([]byte, 5)
		if _, err := io.WriteString(socket, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(socket, line); err != nil {
			t.Fatal(err)
		}
	}
	talk()
	var visiting sync.WaitGroup
	stop := make(chan struct{})
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: id.roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+n.https)
		},
	}}
	get := func(name string) (string, error) {
		response, err := client.Get("https://" + name + "/path")
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		return response.Status, nil
	}
	for range 4 {
		visiting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, err := get("photos.example.org"); err != nil || !strings.HasPrefix(status, "200") {
					t.Errorf("%s, %v", status, err)
					return
				}
			}
		})
	}
	for i := range 6 {
		upstream := []*httptest.Server{second, first}[i%2]
		services := service("photos", "photos.example.org", upstream, "")
		if i%2 == 1 {
			services += "," + service("films", "films.example.org", first, "")
		}
		n.rewrite(t, dir, services)
		n.node.kill(t, syscall.SIGHUP)
		waitFor(t, n.node.stderr, `a setting has changed.*services.photos`)
		talk()
		time.Sleep(200 * time.Millisecond)
	}
	close(stop)
	visiting.Wait()
	if status, err := get("films.example.org"); err != nil || !strings.HasPrefix(status, "200") {
		t.Errorf("another site: %s, %v", status, err)
	}
	const hash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	n.rewrite(t, dir, service("photos", "photos.example.org", second, `, "password": {"anna": "`+hash+`"}`))
	n.node.kill(t, syscall.SIGHUP)
	waitFor(t, n.node.stderr, `a setting has changed.*services.films: removed`)
	if status, err := get("photos.example.org"); err != nil || !strings.HasPrefix(status, "401") {
		t.Errorf("without a password: %s, %v", status, err)
	}
	if status, err := get("films.example.org"); err == nil {
		t.Errorf("a removed site: %s", status)
	}
	talk()
	n.node.kill(t, syscall.SIGTERM)
	if status := n.node.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// openWebSocket returns a connection that the upstream of a site echoes.
func (n *named) openWebSocket(t *testing.T, name string, id identity) net.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", "127.0.0.1:"+n.https, &tls.Config{ServerName: name, RootCAs: id.roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", name)
	reader := bufio.NewReader(c)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols || reader.Buffered() > 0 {
		t.Fatalf("%v, %v", response, err)
	}
	return c
}
