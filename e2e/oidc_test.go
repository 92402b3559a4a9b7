package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// answer is what a browser shows in the end.
type answer struct {
	status     int
	url, body  string
	redirected []string // where it was sent on the way
}

// browser is a client with cookies that reaches names at the server, and the provider where it is.
type browser struct {
	*http.Client
	t          *testing.T
	redirected []string
}

func (n *named) browser(t *testing.T, id identity) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{Client: n.client(t, id.roots), t: t}
	b.Jar = jar
	b.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, _ := net.SplitHostPort(address); host != "127.0.0.1" {
			address = "127.0.0.1:" + port
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	b.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		b.redirected = append(b.redirected, r.URL.String())
		if len(via) > 10 {
			return fmt.Errorf("redirected too often: %v", b.redirected)
		}
		return nil
	}
	return b
}

func (b *browser) do(method, url string, form url.Values, headers ...string) answer {
	b.t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html,*/*")
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	b.redirected = nil
	response, err := b.Client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Request.URL.String(), string(body), b.redirected}
}

var formTarget = regexp.MustCompile(`<form method="post" action="([^"]+)"`)

// login fills in the provider's form, to which a page has led.
func (b *browser) login(page answer, name string) answer {
	b.t.Helper()
	target := formTarget.FindStringSubmatch(page.body)
	if target == nil {
		b.t.Fatalf("there is no form at %s: %d %s", page.url, page.status, page.body)
	}
	at, err := url.Parse(page.url)
	if err != nil {
		b.t.Fatal(err)
	}
	action, err := at.Parse(strings.ReplaceAll(target[1], "&amp;", "&"))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do("POST", action.String(), url.Values{"login": {name + "@example.org"}, "password": {name}})
}

// TestLoginAtDex: visitors of a name log in at a real provider, which is away at first; who may not visit is
// told so; a session survives a restart of the node, works for no other name, and ends with a log-out.
func TestLoginAtDex(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "photos.example.org", "tv.example.org")
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	n := newNamedServer(t)
	photos, tv := "https://photos.example.org:"+n.https, "https://tv.example.org:"+n.https
	d := newDex(t, photos, tv)
	dir := t.TempDir()
	files := fmt.Sprintf(`"upstream": %q, "certificate": %q, "key": %q, "oidc": {"issuer": %q, "clientId": "home", "clientSecretFile": %q, "allow": ["anna@example.org"]}`,
		upstream.URL, id.certFile, id.keyFile, d.issuer, d.secretFile)
	services := fmt.Sprintf(`"photos": {%s, "domain": "photos.example.org"}, "tv": {%s, "domain": "tv.example.org"}`, files, files)
	n.launchNode(t, dir, detached, services)
	waitFor(t, n.node.stdout, `^photos +https://`)
	waitFor(t, n.node.stdout, `^tv +https://`)
	waitFor(t, n.node.stderr, `visitors cannot log in yet`)
	anna := n.browser(t, id)
	if got := anna.do("GET", photos+"/album?year=2026", nil); got.status != 503 || !strings.Contains(got.body, "Nobody can log in now") {
		t.Errorf("the provider is away: %+v", got)
	}

	d.start(t)
	for range 2 { // for each name
		waitFor(t, n.node.stderr, `the OpenID Connect provider answers`)
	}
	page := anna.do("GET", photos+"/album?year=2026", nil)
	got := anna.login(page, "anna")
	if want := "email=anna@example.org subject= certificate=false authorization=\"\" cookies=\"\"\n"; got.status != 200 || got.url != photos+"/album?year=2026" || !strings.HasSuffix(got.body, want) || strings.HasPrefix(got.body, "user= ") {
		t.Fatalf("logged in: %+v", got)
	}
	n.checkSession(t, anna, photos, tv)

	bob := n.browser(t, id)
	if got := bob.login(bob.do("GET", photos+"//evil.example/", nil), "bob"); got.status != 403 || !strings.Contains(got.body, "You are logged in as bob@example.org") {
		t.Errorf("who may not visit: %+v", got)
	}
	if got := bob.do("GET", photos+"/", nil, "Sec-Fetch-Mode", "cors"); got.status != 401 {
		t.Errorf("who may not visit has a session: %+v", got)
	}
	evil := n.browser(t, id)
	if got := evil.login(evil.do("GET", photos+"//evil.example/", nil), "anna"); got.status != 200 || got.url != photos+"/evil.example/" {
		t.Errorf("a path that looks like another site: %+v", got)
	}
	if got := refusals(t, filepath.Join(dir, "data"), "photos"); got["provider away"] == 0 || got["not logged in"] == 0 || got["not allowed"] == 0 || got["login failed"] == 0 {
		t.Errorf("%v", got)
	}

	before := n.node
	before.kill(t, syscall.SIGTERM)
	before.status(t)
	n.launchNode(t, dir, detached, services)
	waitFor(t, n.node.stdout, `^photos +https://`)
	if got := anna.do("GET", photos+"/", nil); got.status != 200 {
		t.Errorf("after a restart of the node: %+v", got)
	}
	if got := anna.do("POST", photos+"/.apquic/logout", url.Values{}, "Sec-Fetch-Site", "same-origin"); got.status != 200 || !strings.Contains(got.body, "You are logged out") {
		t.Errorf("%+v", got)
	}
	if got := anna.do("GET", photos+"/", nil, "Sec-Fetch-Mode", "cors"); got.status != 401 {
		t.Errorf("logged out: %+v", got)
	}
	for _, p := range []*process{before, n.node} {
		if log := p.stderr.text(); strings.Contains(log, "client secret") || strings.Contains(log, "code=") {
			t.Errorf("the log has a secret: %s", log)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "data", "login.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
}

// checkSession checks what a browser that is logged in at one name can do there, and elsewhere.
func (n *named) checkSession(t *testing.T, b *browser, here, elsewhere string) {
	t.Helper()
	if got := b.do("POST", here+"/api", url.Values{"a": {"b"}}, "Accept", "application/json", "X-Forwarded-User", "root", "X-Forwarded-Email", "root@example.org", "Cookie", "theme=dark"); got.status != 200 ||
		!strings.Contains(got.body, "email=anna@example.org") || !strings.HasSuffix(got.body, `cookies="theme=dark"`+"\n") {
		t.Errorf("a request with a session: %+v", got)
	}
	at, err := url.Parse(here)
	if err != nil {
		t.Fatal(err)
	}
	var session *http.Cookie
	for _, c := range b.Jar.Cookies(at) {
		if c.Name == "__Host-apquic-session" {
			session = c
		}
		if c.Name == "__Host-apquic-login" {
			t.Error("the login's cookie stays")
		}
	}
	if session == nil {
		t.Fatalf("there is no session among %v", b.Jar.Cookies(at))
	}
	other := b.do("GET", elsewhere+"/", nil, "Cookie", session.Name+"="+session.Value, "Sec-Fetch-Mode", "cors")
	if other.status != 401 {
		t.Errorf("a session of one name at another: %+v", other)
	}
	for cookie, want := range map[string]string{"": "401 Unauthorized", "Cookie: " + session.Name + "=" + session.Value + "\r\n": "101 Switching Protocols"} {
		c, err := tls.Dial("tcp", "127.0.0.1:"+n.https, &tls.Config{ServerName: at.Hostname(), RootCAs: b.Transport.(*http.Transport).TLSClientConfig.RootCAs, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /socket HTTP/1.1\r\nHost: %s\r\n%sAccept: text/html\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", at.Host, cookie)
		line := make([]byte, len("HTTP/1.1 ")+len(want))
		if _, err := io.ReadFull(c, line); err != nil || string(line) != "HTTP/1.1 "+want {
			t.Errorf("a WebSocket: %q, %v, want %s", line, err, want)
		}
		c.Close()
	}
	for _, forged := range []string{"/.apquic/callback?code=x&state=y", "/.apquic/callback?error=access_denied&state="} {
		if got := b.do("GET", here+forged, nil); got.status != 200 || got.url != here+"/" { // there is a session
			t.Errorf("%s: %+v", forged, got)
		}
		stranger := n.client(t, b.Transport.(*http.Transport).TLSClientConfig.RootCAs)
		response, err := stranger.Get(here + forged)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 403 {
			t.Errorf("%s, from a stranger: %d", forged, response.StatusCode)
		}
	}
}
