package e2e

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPasswordWhereServerEndsTLS: the node asks visitors whose TLS the server ended, at a domain and at a name below the
// server's own; nobody gets around it by the port that belongs to that, without TLS, or by another name.
func TestPasswordWhereServerEndsTLS(t *testing.T) {
	needCurl(t)
	t.Parallel()
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	folder, dir := t.TempDir(), t.TempDir()
	id := newIdentity(t, "photos.example.org", "open.example.org", "*.tunnel.example.org")
	copyIdentity(t, id, folder, "all")
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	newEnding(t, n, "", "--certificates", folder, "--domain", "tunnel.example.org")
	at, password := upstream.Listener.Addr().String(), cheapHash(t, "anna", "secret")
	n.launchNode(t, dir, detached, fmt.Sprintf(`
		"photos": {"upstream": "http://%s", "domain": "photos.example.org", "tls": "terminate", "password": {%s}},
		"open": {"upstream": "http://%[1]s", "domain": "open.example.org", "tls": "terminate", "http": "serve"},
		"web": {"upstream": "tcp://%[1]s", "tls": "terminate", "password": {%[2]s}}`, at, password))
	waitFor(t, n.node.stdout, `^photos +https://`)
	waitFor(t, n.node.stdout, `^open +https://`)
	own := waitFor(t, n.node.stdout, `^web +https://(web-[a-z2-7]{16}\.tunnel\.example\.org):`)
	want := `user=anna email= subject= certificate=false authorization="" cookies="theme=dark"` + "\n"
	for _, name := range []string{"photos.example.org", own} {
		for _, version := range []string{"--http1.1", "--http2"} {
			if got := n.curl(t, "https://"+name+"/", id.certFile, version, "--user", "anna:secret", "--header", "X-Forwarded-User: root", "--cookie", "theme=dark; __Host-apquic-session=1"); got != want {
				t.Errorf("%s, %s: %q, want %q", name, version, got, want)
			}
			if got := n.statusOf(t, "https://"+name+"/", id.certFile, version, "--user", "anna:wrong"); got != "401" {
				t.Errorf("%s, %s, with a wrong password: %s", name, version, got)
			}
		}
		if got := n.statusOf(t, "https://"+name+"/", id.certFile, "--http1.1", "--header", "Connection: Upgrade", "--header", "Upgrade: websocket"); got != "401" {
			t.Errorf("%s, a WebSocket without a password: %s", name, got)
		}
		if got := n.statusOf(t, "http://"+name+"/", id.certFile, "--user", "anna:secret"); got != "308" {
			t.Errorf("%s, without TLS: %s", name, got)
		}
		if got := n.statusOf(t, "https://open.example.org/", id.certFile, "--header", "Host: "+name+":"+n.https); got != "421" {
			t.Errorf("%s, over a connection to another name: %s", name, got)
		}
		if got := n.curl(t, "http://open.example.org/", id.certFile, "--header", "Host: "+name+":"+n.http, "--write-out", "%{http_code}"); strings.Contains(got, "user=") {
			t.Errorf("%s, over a connection without TLS to another name: %s", name, got)
		}
	}
	port := n.webAddress(t)
	for _, host := range []string{"127.0.0.1", own} {
		got := n.direct(t, port, "--user", "anna:secret", "--header", "Host: "+host)
		if strings.Contains(got, "user=") || !strings.HasSuffix(got, "403") && !strings.HasSuffix(got, "421") {
			t.Errorf("the port, as %s: %s", host, got)
		}
	}
	if got := n.curl(t, "https://open.example.org/", id.certFile, "--user", "bob:other"); !strings.HasPrefix(got, `user= email= subject= certificate=false authorization="Basic `) {
		t.Errorf("a site for everybody: %q", got)
	}
	data := filepath.Join(dir, "data")
	if got := refusals(t, data, "photos"); got["no password"] != 1 || got["wrong password"] != 2 {
		t.Errorf("%v", got)
	}
	if got := refusals(t, data, "web"); got["without TLS"] != 1 {
		t.Errorf("%v", got)
	}
}

// direct asks curl for what is at an address, and its status.
func (n *named) direct(t *testing.T, address string, arguments ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	plain := *n
	plain.http = port
	return plain.curl(t, "http://"+host+"/", "/dev/null", append(arguments, "--write-out", "%{http_code}")...)
}

// TestDexWhereServerEndsTLS: visitors whose TLS the server ended log in at a real provider, and come back to where they
// wanted to go.
func TestDexWhereServerEndsTLS(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	folder := t.TempDir()
	id := newIdentity(t, "photos.example.org", "tv.example.org")
	copyIdentity(t, id, folder, "all")
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	newEnding(t, n, "", "--certificates", folder)
	photos, tv := "https://photos.example.org:"+n.https, "https://tv.example.org:"+n.https
	d := newDex(t, photos, tv)
	d.start(t)
	oidc := fmt.Sprintf(`"upstream": %q, "tls": "terminate", "oidc": {"issuer": %q, "clientId": "home", "clientSecretFile": %q, "allow": ["anna@example.org"]}`, upstream.URL, d.issuer, d.secretFile)
	n.launchNode(t, t.TempDir(), detached, fmt.Sprintf(`"photos": {%s, "domain": "photos.example.org"}, "tv": {%s, "domain": "tv.example.org"}`, oidc, oidc))
	waitFor(t, n.node.stdout, `^photos +https://`)
	waitFor(t, n.node.stdout, `^tv +https://`)
	for range 2 {
		waitFor(t, n.node.stderr, `the OpenID Connect provider answers`)
	}
	anna := n.browser(t, id)
	got := anna.login(anna.do("GET", photos+"/album?year=2026", nil), "anna")
	if want := "email=anna@example.org subject= certificate=false authorization=\"\" cookies=\"\"\n"; got.status != 200 || got.url != photos+"/album?year=2026" || !strings.HasSuffix(got.body, want) {
		t.Fatalf("logged in: %+v", got)
	}
	n.checkSession(t, anna, photos, tv)
	bob := n.browser(t, id)
	if got := bob.login(bob.do("GET", photos+"/", nil), "bob"); got.status != 403 || !strings.Contains(got.body, "You are logged in as bob@example.org") {
		t.Errorf("who may not visit: %+v", got)
	}
	if got := anna.do("POST", photos+"/.apquic/logout", url.Values{}, "Sec-Fetch-Site", "same-origin"); got.status != 200 || !strings.Contains(got.body, "You are logged out") {
		t.Errorf("%+v", got)
	}
}
