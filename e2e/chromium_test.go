//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// chromium is a browser that is driven by the WebDriver protocol.
type chromium struct {
	t       *testing.T
	session string // its URL
}

// startChromium starts a browser for which all names of example.org are on this machine, and which trusts one
// certificate more.
func startChromium(t *testing.T, id identity) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromedriver")
	if err != nil {
		t.Skip("chromium-driver is missing")
	}
	port := strconv.Itoa(freePort(t))
	driver := launch(t, func(c *exec.Cmd) {
		detached(c)
		c.Path, c.Args[0], c.WaitDelay = path, path, time.Second // a browser that hangs does not keep its driver
	}, "chromedriver", "--port="+port)
	t.Cleanup(func() { syscall.Kill(-driver.cmd.Process.Pid, syscall.SIGKILL) }) // with its browser
	waitFor(t, driver.stdout, "started successfully")
	certificate, err := x509.ParseCertificate(id.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	c := &chromium{t, "http://127.0.0.1:" + port + "/session"}
	var made struct{ SessionID string }
	c.call("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"goog:chromeOptions": map[string]any{"args": []string{
			"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir(), // root has no sandbox
			"--host-resolver-rules=MAP *.example.org 127.0.0.1", "--ignore-certificate-errors-spki-list=" + base64.StdEncoding.EncodeToString(key[:]),
		}},
	}}}, &made)
	c.session += "/" + made.SessionID
	t.Cleanup(func() { c.try("DELETE", "", map[string]any{}, nil) })
	return c
}

// call is one command of WebDriver.
func (c *chromium) call(method, path string, body, result any) {
	c.t.Helper()
	if err := c.try(method, path, body, result); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chromium) try(method, path string, body, result any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, c.session+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if response.StatusCode != 200 {
		return fmt.Errorf("%s %s: %.300s", method, path, answer.Value)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, result)
}

func (c *chromium) open(url string) {
	c.t.Helper()
	c.call("POST", "/url", map[string]string{"url": url}, nil)
}

// element is the part of the page that a CSS selector finds.
func (c *chromium) element(selector string) string {
	c.t.Helper()
	var found map[string]string
	c.call("POST", "/element", map[string]string{"using": "css selector", "value": selector}, &found)
	for _, id := range found {
		return "/element/" + id
	}
	c.t.Fatalf("there is no %s", selector)
	return ""
}

func (c *chromium) write(selector, text string) {
	c.t.Helper()
	c.call("POST", c.element(selector)+"/value", map[string]string{"text": text}, nil)
}

func (c *chromium) click(selector string) {
	c.t.Helper()
	c.call("POST", c.element(selector)+"/click", map[string]any{}, nil)
}

// run runs a script in the page, and returns its result.
func (c *chromium) run(script string) (result string) {
	c.t.Helper()
	c.call("POST", "/execute/sync", map[string]any{"script": script, "args": []any{}}, &result)
	return result
}

// shows waits until the page has a text.
func (c *chromium) shows(text string) {
	c.t.Helper()
	for deadline := time.Now().Add(maxWait); ; time.Sleep(50 * time.Millisecond) {
		var got string // stays empty while one page replaces another
		err := c.try("POST", "/execute/sync", map[string]any{"script": "return document.body ? location.href + ' ' + document.body.innerText : ''", "args": []any{}}, &got)
		if strings.Contains(got, text) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the page has %q, %v, want %q", got, err, text)
		}
	}
}

// TestLoginWithChromium: a real browser is sent to a real provider, and comes back with cookies that it keeps
// for itself.
func TestLoginWithChromium(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "photos.example.org")
	browser := startChromium(t, id)
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	n := newNamedServer(t)
	photos := "https://photos.example.org:" + n.https
	d := newDex(t, photos)
	d.start(t)
	n.startNode(t, fmt.Sprintf(`"photos": {"upstream": %q, "domain": "photos.example.org", "certificate": %q, "key": %q,
		"oidc": {"issuer": %q, "clientId": "home", "clientSecretFile": %q, "allow": ["@example.org"]}}`, upstream.URL, id.certFile, id.keyFile, d.issuer, d.secretFile))
	waitFor(t, n.node.stdout, `^photos +https://`)
	waitFor(t, n.node.stderr, `the OpenID Connect provider answers`)

	browser.open(photos + "/album?year=2026")
	browser.shows("Log in to Your Account")
	browser.write("#login", "anna@example.org")
	browser.write("#password", "anna")
	browser.click("#submit-login")
	browser.shows(photos + "/album?year=2026 user=")
	browser.shows("email=anna@example.org")
	if got := browser.run("return document.cookie"); got != "" {
		t.Errorf("scripts can read %q", got)
	}
	if got := browser.run("const r = new XMLHttpRequest(); r.open('GET', '/api', false); r.send(); return r.status + r.responseText"); !strings.HasPrefix(got, "200user=") {
		t.Errorf("a script gets %q", got)
	}
	browser.open(photos + "/.apquic/logout")
	browser.click("button")
	browser.shows("You are logged out")
	browser.open(photos + "/album")
	browser.shows("Log in to Your Account")
}
