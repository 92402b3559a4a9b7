package e2e

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
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

// launchWithLogins starts a server that ends TLS, with a file of settings that has logins.
func (n *named) launchWithLogins(t *testing.T, folder, logins string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.json")
	if err := os.WriteFile(file, []byte(`{"logins": {`+logins+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	newEnding(t, n, "", "--certificates", folder, "--domain", "tunnel.example.org", "-c", file)
}

// TestPasswordAndCertificateAtServer: the server's operator has visitors of a name show a certificate, those of others
// know a password, and what the node demands comes after that. A service that would let everybody in gets nothing.
func TestPasswordAndCertificateAtServer(t *testing.T) {
	needCurl(t)
	t.Parallel()
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	folder, dir := t.TempDir(), t.TempDir()
	id, family := newIdentity(t, "safe.example.org", "open.example.org", "*.home.example.org", "*.tunnel.example.org"), newIdentity(t, "family")
	copyIdentity(t, id, folder, "all")
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	n.launchWithLogins(t, folder, fmt.Sprintf(`
		"safe.example.org": {"clientCA": %q}, "tv.home.example.org": {"password": {%s}}, "*.tunnel.example.org": {"password": {%s}}, "pass.example.org": {"password": {%s}}`,
		family.certFile, cheapHash(t, "anna", "secret"), cheapHash(t, "bob", "other"), cheapHash(t, "anna", "secret")))
	at := upstream.URL
	n.launchNode(t, dir, detached, fmt.Sprintf(`
		"safe": {"upstream": %q, "domain": "safe.example.org", "tls": "terminate", "password": {%s}},
		"home": {"upstream": %q, "domain": "*.home.example.org", "tls": "terminate", "http": "serve"},
		"open": {"upstream": %q, "domain": "open.example.org", "tls": "terminate"},
		"web": %q,
		"pass": {"upstream": %q, "domain": "pass.example.org", "tls": "pass"},
		"twice": {"upstream": %q, "domain": "tv.home.example.org", "tls": "terminate", "password": {%s}}`,
		at, cheapHash(t, "anna", "mine"), at, at, at, at, at, cheapHash(t, "anna", "mine")))
	for _, service := range []string{"safe", "home", "open"} {
		waitFor(t, n.node.stdout, `^`+service+` +https://`)
	}
	own := waitFor(t, n.node.stdout, `^web +https://(web-[a-z2-7]{16}\.tunnel\.example\.org):`)
	waitFor(t, n.node.stderr, `pass.*has visitors of pass.example.org log in.*terminate`)
	waitFor(t, n.node.stderr, `twice.*only one`)

	certFile, keyFile := visitorCertificate(t, family, "Anna")
	mine := []string{"--cert", certFile, "--key", keyFile}
	for _, version := range []string{"--http1.1", "--http2"} {
		if got := n.curl(t, "https://safe.example.org/", id.certFile, append(mine, version, "--user", "anna:mine")...); !strings.HasPrefix(got, `user=anna email= subject= certificate=false authorization=""`) {
			t.Errorf("%s: %q", version, got)
		}
		if got := n.statusOf(t, "https://safe.example.org/", id.certFile, append(mine, version)...); got != "401" {
			t.Errorf("%s, a certificate without a password: %s", version, got)
		}
		if out, err := n.tryCurl("https://safe.example.org/", id.certFile, version, "--user", "anna:mine"); err == nil {
			t.Errorf("%s, a password without a certificate: %s", version, out)
		}
		if got := n.statusOf(t, "https://open.example.org/", id.certFile, version, "--header", "Host: safe.example.org:"+n.https, "--user", "anna:mine"); got != "421" {
			t.Errorf("%s, over a connection to another name: %s", version, got)
		}
		if got := n.curl(t, "https://tv.home.example.org/", id.certFile, version, "--user", "anna:secret", "--header", "X-Forwarded-User: root"); !strings.HasPrefix(got, `user=anna email= subject= certificate=false authorization=""`) {
			t.Errorf("%s: %q", version, got)
		}
		if got := n.statusOf(t, "https://"+own+"/", id.certFile, version, "--user", "anna:secret"); got != "401" {
			t.Errorf("%s, the password of another name: %s", version, got)
		}
		if got := n.statusOf(t, "https://"+own+"/", id.certFile, version, "--user", "bob:other"); got != "200" {
			t.Errorf("%s, a name of the server's own: %s", version, got)
		}
	}
	for url, want := range map[string]string{"https://tv.home.example.org/": "401", "http://tv.home.example.org/": "403", "https://other.home.example.org/": "200", "http://other.home.example.org/": "200", "https://open.example.org/": "200"} {
		if got := n.statusOf(t, url, id.certFile); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	if got := n.curl(t, "http://other.home.example.org/", id.certFile, "--header", "Host: TV.home.example.org.:"+n.http, "--user", "anna:secret", "--write-out", "%{http_code}"); !strings.HasSuffix(got, "403") {
		t.Errorf("without TLS: %s", got)
	}
	if out, err := exec.Command("curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--user", "bob:other", "http://"+n.webAddress(t)+"/").CombinedOutput(); err == nil {
		t.Errorf("the port: %s", out)
	}
	status, err := exec.Command(filepath.Join(bin, "apquic-server"), "status", "--data-dir", n.data).CombinedOutput()
	for _, want := range []string{"safe.example.org: visitors refused since the start: 2 no certificate", `*.tunnel.example.org: visitors refused since the start: 2 wrong password`, "without TLS"} {
		if err != nil || !strings.Contains(string(status), want) {
			t.Errorf("%q is missing in\n%s, %v", want, status, err)
		}
	}
}

// TestDexAtBothEnds: visitors log in at a real provider twice, for the server and for the node, each with cookies and
// paths of its own, of which the service sees none.
func TestDexAtBothEnds(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	folder := t.TempDir()
	id := newIdentity(t, "photos.example.org")
	copyIdentity(t, id, folder, "all")
	n := &named{http: strconv.Itoa(freePort(t)), https: strconv.Itoa(freePort(t))}
	photos := "https://photos.example.org:" + n.https
	d := newDex(t, photos)
	d.start(t)
	oidc := func(allow string) string {
		return fmt.Sprintf(`"oidc": {"issuer": %q, "clientId": "home", "clientSecretFile": %q, "allow": [%q]}`, d.issuer, d.secretFile, allow)
	}
	n.launchWithLogins(t, folder, `"photos.example.org": {`+oidc("@example.org")+`}`)
	waitFor(t, n.server.stderr, `the OpenID Connect provider answers`)
	n.startNode(t, fmt.Sprintf(`"photos": {"upstream": %q, "domain": "photos.example.org", "tls": "terminate", %s}`, upstream.URL, oidc("anna@example.org")))
	waitFor(t, n.node.stdout, `^photos +https://`)
	waitFor(t, n.node.stderr, `the OpenID Connect provider answers`)
	anna := n.browser(t, id)
	atNode := anna.login(anna.do("GET", photos+"/album?year=2026", nil), "anna")
	got := anna.login(atNode, "anna")
	if want := "email=anna@example.org subject= certificate=false authorization=\"\" cookies=\"\"\n"; got.status != 200 || got.url != photos+"/album?year=2026" || !strings.HasSuffix(got.body, want) {
		t.Fatalf("logged in twice: %+v", got)
	}
	if got := anna.do("POST", photos+"/.apquic-server/logout", url.Values{}, "Sec-Fetch-Site", "same-origin"); got.status != 200 || !strings.Contains(got.body, "You are logged out") {
		t.Errorf("%+v", got)
	}
	if got := anna.do("GET", photos+"/", nil, "Sec-Fetch-Mode", "cors"); got.status != 401 {
		t.Errorf("logged out at the server alone: %+v", got)
	}
	bob := n.browser(t, id)
	if got := bob.login(bob.login(bob.do("GET", photos+"/", nil), "bob"), "bob"); got.status != 403 || !strings.Contains(got.body, "You are logged in as bob@example.org") {
		t.Errorf("whom the server lets in and the node does not: %+v", got)
	}
	if info, err := os.Stat(filepath.Join(n.data, "login.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
}
