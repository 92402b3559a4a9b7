package login

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

func newProvider(t testing.TB, allow ...string) *Provider {
	t.Helper()
	p, err := NewProvider(ProviderConfig{Issuer: "https://login.example.org", ClientID: "apquic", ClientSecret: "secret", Allow: allow, Key: bytes.Repeat([]byte{7}, KeySize)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request is one for a page of a site, with a cookie that a provider has set for it.
func request(t testing.TB, target string, cookies ...*http.Cookie) *http.Request {
	t.Helper()
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Accept", "text/html")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func (p *Provider) cookie(t testing.TB, target, name string, content any) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if err := p.setCookie(w, request(t, target), name, content, time.Minute); err != nil {
		t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

// TestSessionCookies: a session is good at the host where it began, for its time, for this client of this
// provider, and only as it was made.
func TestSessionCookies(t *testing.T) {
	t.Parallel()
	const site = "https://www.example.org/"
	p := newProvider(t, "*")
	soon, past := time.Now().Add(time.Minute).Unix(), time.Now().Add(-time.Second).Unix()
	good := p.cookie(t, site, sessionCookie, session{Subject: "1", Email: "anna@example.org", Until: soon})
	if !good.Secure || !good.HttpOnly || good.SameSite != http.SameSiteLaxMode || good.Path != "/" || good.Domain != "" || good.MaxAge != 60 || !strings.HasPrefix(good.Name, "__Host-") {
		t.Errorf("%v", good)
	}
	if strings.Contains(good.Value, "anna") {
		t.Error("it can be read")
	}
	if s, err := p.sessionOf(request(t, site, good)); err != nil || s.Email != "anna@example.org" {
		t.Errorf("%v, %v", s, err)
	}
	again := p.cookie(t, site, sessionCookie, session{Subject: "1", Email: "anna@example.org", Until: soon})
	if again.Value == good.Value {
		t.Error("two are the same")
	}
	other := newProvider(t, "*")
	other.config.ClientID = "other"
	another := newProvider(t, "*")
	another.config.Issuer = "https://other.example.org"
	tampered, attempted, renamed := *good, p.cookie(t, site, attemptCookie, session{Until: soon}), *good
	tampered.Value = tampered.Value[:len(tampered.Value)-2] + "AA"
	attempted.Name, renamed.Name = sessionCookie, attemptCookie
	long := *good
	long.Value = strings.Repeat("A", maxCookie+1)
	for why, r := range map[string]*http.Request{
		"none": request(t, site), "at another host": request(t, "https://tv.example.org/", good), "changed": request(t, site, &tampered),
		"of a login": request(t, site, attempted), "over": request(t, site, p.cookie(t, site, sessionCookie, session{Until: past})),
		"of another client":   request(t, site, other.cookie(t, site, sessionCookie, session{Until: soon})),
		"of another provider": request(t, site, another.cookie(t, site, sessionCookie, session{Until: soon})),
		"short":               request(t, site, &http.Cookie{Name: sessionCookie, Value: "AAAA"}), "too long": request(t, site, &long),
	} {
		if s, err := p.sessionOf(r); err == nil {
			t.Errorf("a session that is %s: %v", why, s)
		}
	}
	if _, err := p.attemptOf(request(t, site, &renamed)); err == nil {
		t.Error("a session is a login")
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	anna := session{Subject: "1", Email: "Anna@Example.org", Groups: []string{"family"}}
	for rule, want := range map[string]bool{
		"anna@example.org": true, "bob@example.org": false, "@example.org": true, "@ample.org": false, "@example.com": false, "group:family": true, "group:fam": false,
		"subject:1": true, "subject:": false, "*": true,
	} {
		p := newProvider(t, "carl@example.net", rule)
		if got := p.allows(anna); got != want {
			t.Errorf("%s: %v", rule, got)
		}
		if got := p.allows(session{Subject: "2"}); got != (rule == "*") { // whose address is not verified
			t.Errorf("%s, a stranger: %v", rule, got)
		}
	}
	for _, claim := range []any{"family", []any{"a", "family"}} {
		if !has(claim, "family") || has(claim, "fam") {
			t.Errorf("%v", claim)
		}
	}
	if has(nil, "") || has(map[string]any{"family": 1}, "family") {
		t.Error("that is no group")
	}
}

// TestReturnPath: no path leads to another site.
func TestReturnPath(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/": "/", "/a/b?c=d&e": "/a/b?c=d&e", "//evil.example/a": "/evil.example/a", "///evil.example": "/evil.example", `/\evil.example`: `/%5Cevil.example`,
		"/%2f%2fevil.example": "/%2f%2fevil.example", "/a?r=//evil.example": "/a?r=//evil.example", "https://evil.example/a": "/a", "/" + strings.Repeat("a", maxReturn): "/",
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		got := returnPath(u)
		if got != want {
			t.Errorf("%s: %s", target, got)
		}
		if at, err := url.Parse("https://www.example.org/x"); err != nil || !strings.HasPrefix(at.JoinPath().ResolveReference(mustParse(t, got)).String(), "https://www.example.org/") {
			t.Errorf("%s leads to %s", target, got)
		}
	}
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestWithoutSession: browsers are sent to the provider, others are told; while the provider is away, all
// are.
func TestWithoutSession(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "*")
	g := newGuard(t, Config{Provider: p, Work: NewWork()})
	ask := func(r *http.Request) *http.Response {
		w := httptest.NewRecorder()
		g.Handler(told).ServeHTTP(w, r)
		return w.Result()
	}
	if r := ask(request(t, "https://www.example.org/")); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(text(t, r), "Nobody can log in now") {
		t.Errorf("the provider is away: %d", r.StatusCode)
	}
	if r := ask(request(t, "https://www.example.org"+callbackPath)); r.StatusCode != 503 {
		t.Errorf("the provider is away: %d", r.StatusCode)
	}
	known := p.cookie(t, "https://www.example.org/", sessionCookie, session{Subject: "1", Until: time.Now().Add(time.Minute).Unix()})
	if r := ask(request(t, "https://www.example.org/", known)); r.StatusCode != 200 || text(t, r) != `user 1, authorization ""` {
		t.Errorf("the provider is away, but not needed: %d", r.StatusCode)
	}

	p.found.Store(&endpoints{Config: oauth2.Config{ClientID: "apquic", Endpoint: oauth2.Endpoint{AuthURL: "https://login.example.org/auth"}}})
	for _, test := range []struct {
		method, target string
		header         []string
		status         int
	}{
		{"GET", "/a?b", []string{"Accept", "text/html,*/*"}, 302},
		{"HEAD", "/a", []string{"Accept", "text/html"}, 302},
		{"GET", "/a", []string{"Sec-Fetch-Mode", "navigate"}, 302},
		{"GET", "/a", nil, 401},
		{"GET", "/a", []string{"Accept", "application/json"}, 401},
		{"POST", "/a", []string{"Accept", "text/html"}, 401},
		{"GET", "/a", []string{"Accept", "text/html", "Sec-Fetch-Mode", "cors"}, 401},
		{"GET", "/a", []string{"Accept", "text/html", "Sec-Fetch-Mode", "websocket", "Upgrade", "websocket"}, 401},
		{"GET", "/a", []string{"Sec-Fetch-Mode", "navigate", "Upgrade", "websocket"}, 401},
		{"GET", ownPaths + "other", []string{"Accept", "text/html"}, 404},
		{"GET", callbackPath + "?state=&code=x", []string{"Accept", "text/html"}, 403},
		{"POST", callbackPath + "?state=&code=x", nil, 403},
	} {
		r := httptest.NewRequest(test.method, "https://www.example.org"+test.target, nil)
		for i := 0; i < len(test.header); i += 2 {
			r.Header.Set(test.header[i], test.header[i+1])
		}
		got := ask(r)
		if got.StatusCode != test.status || got.StatusCode == 401 && got.Header.Get("WWW-Authenticate") == "" || got.Header.Get("Cache-Control") != "no-store" && test.status != 404 {
			t.Errorf("%+v: %d, %v", test, got.StatusCode, got.Header)
		}
		if to := got.Header.Get("Location"); got.StatusCode == 302 {
			at := mustParse(t, to)
			q := at.Query()
			if at.Host != "login.example.org" || q.Get("redirect_uri") != "https://www.example.org/.apquic/callback" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || len(q.Get("state")) < 20 || strings.Contains(to, "secret") {
				t.Errorf("%s", to)
			}
		}
	}
}

// TestForgedCallbacks: a login ends only in the browser in which it began, with its state, and never asks the
// provider otherwise.
func TestForgedCallbacks(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "*")
	p.client = nil // it would crash
	p.found.Store(&endpoints{})
	g := newGuard(t, Config{Provider: p, Work: NewWork()})
	const site = "https://www.example.org"
	begun := attempt{State: "state", Until: time.Now().Add(time.Minute).Unix()}
	over := attempt{State: "state", Until: time.Now().Unix()}
	good := p.cookie(t, site, attemptCookie, begun)
	for why, r := range map[string]*http.Request{
		"no cookie": request(t, site+callbackPath+"?state=state&code=x"), "another state": request(t, site+callbackPath+"?state=other&code=x", good),
		"no state": request(t, site+callbackPath+"?code=x", good), "too late": request(t, site+callbackPath+"?state=state&code=x", p.cookie(t, site, attemptCookie, over)),
		"another host": request(t, "https://tv.example.org"+callbackPath+"?state=state&code=x", good), "an error": request(t, site+callbackPath+"?state=state&error=access_denied", good),
		"empty cookie": request(t, site+callbackPath+"?state=&code=x", p.cookie(t, site, attemptCookie, attempt{})),
	} {
		w := httptest.NewRecorder()
		if g.Handler(told).ServeHTTP(w, r); w.Code != 403 || strings.Contains(w.Header().Get("Set-Cookie"), sessionCookie) {
			t.Errorf("%s: %d, %v", why, w.Code, w.Header())
		}
	}
	if got := g.Refused()[reasonLoginFailed]; got != 7 {
		t.Errorf("%d are counted", got)
	}
}

// TestExchangeLimits: a login that began here makes the node ask the provider only while few others do, and
// while the visitor has not failed too often.
func TestExchangeLimits(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "*")
	p.client = nil // it would crash
	p.found.Store(&endpoints{})
	work := NewWork()
	g := newGuard(t, Config{Provider: p, Work: work})
	const site = "https://www.example.org"
	ask := func(why string) {
		t.Helper()
		w, r := httptest.NewRecorder(), request(t, site+callbackPath+"?state=state&code=x", p.cookie(t, site, attemptCookie, attempt{State: "state", Until: time.Now().Add(time.Minute).Unix()}))
		if g.Handler(told).ServeHTTP(w, r); w.Code != 429 {
			t.Errorf("%s: %d", why, w.Code)
		}
	}
	for range maxExchanges {
		p.exchanges <- struct{}{}
	}
	ask("many at once")
	for range maxExchanges {
		<-p.exchanges
	}
	from := request(t, site).RemoteAddr
	for range attemptBurst {
		end, err := work.begin(from, time.Now().Add(time.Hour)) // from when on nothing is forgiven in this test
		if err != nil {
			t.Fatal(err)
		}
		end(true)
	}
	ask("too many failures")
	if len(p.exchanges) != 0 {
		t.Error("a place is not given back")
	}
}

// TestLogout: only a form of this site logs a visitor out.
func TestLogout(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Config{Provider: newProvider(t, "*"), Work: NewWork()})
	for _, test := range []struct {
		method, from string
		out          bool
	}{{"POST", "same-origin", true}, {"POST", "cross-site", false}, {"GET", "same-origin", false}, {"GET", "cross-site", false}} {
		r := httptest.NewRequest(test.method, "https://www.example.org"+logoutPath, nil)
		r.Header.Set("Sec-Fetch-Site", test.from)
		w := httptest.NewRecorder()
		g.Handler(told).ServeHTTP(w, r)
		if got := strings.HasPrefix(w.Header().Get("Set-Cookie"), sessionCookie+"=;"); w.Code != 200 || got != test.out {
			t.Errorf("%+v: %d, %v", test, w.Code, w.Header())
		}
	}
}

// TestNotAllowed: somebody who is logged in, but may not visit, is told who they are, as text.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "bob@example.org")
	g := newGuard(t, Config{Provider: p, Work: NewWork()})
	w := httptest.NewRecorder()
	cookie := p.cookie(t, "https://www.example.org/", sessionCookie, session{Email: "<anna>@example.org", Until: time.Now().Add(time.Minute).Unix()})
	g.Handler(told).ServeHTTP(w, request(t, "https://www.example.org/", cookie))
	if body := w.Body.String(); w.Code != 403 || !strings.Contains(body, "&lt;anna&gt;@example.org") || strings.Contains(body, "<anna>") {
		t.Errorf("%d %s", w.Code, body)
	}
}

// TestCookiesOfSite: the site gets its own cookies alone.
func TestCookiesOfSite(t *testing.T) {
	t.Parallel()
	for cookies, want := range map[string]string{
		"": "", "a=b": "a=b", "a=b; __Host-apquic-session=x; c=d": "a=b; c=d", "__Host-apquic-session=x;__host-APQUIC-login=y": "", "__Host-apquic=x": "__Host-apquic=x",
	} {
		header := http.Header{"Cookie": {cookies}}
		dropCookies(header, cookiePrefix)
		if got := header.Get("Cookie"); got != want || want == "" && header["Cookie"] != nil {
			t.Errorf("%q: %q", cookies, got)
		}
	}
}

func FuzzCookies(f *testing.F) {
	p := newProvider(f, "*")
	good := p.cookie(f, "https://www.example.org/", sessionCookie, session{Subject: "1", Until: 1 << 40})
	f.Add(fmt.Sprintf("a=b; %s=%s", good.Name, good.Value))
	f.Add(sessionCookie + "=AAAA")
	f.Fuzz(func(t *testing.T, line string) {
		r := httptest.NewRequest("GET", "https://www.example.org/", nil)
		r.Header.Set("Cookie", line)
		if s, err := p.sessionOf(r); err == nil && s.Subject != "1" { // of the only session that was ever sealed
			t.Errorf("%q is a session: %v", line, s)
		}
		dropCookies(r.Header, cookiePrefix)
		if got := strings.ToLower(strings.Join(r.Header["Cookie"], "")); strings.HasPrefix(got, strings.ToLower(cookiePrefix)) {
			t.Errorf("%q leaves %q", line, got)
		}
	})
}
