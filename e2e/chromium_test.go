//go:build linux

package e2e

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"apquic/internal/chromium"
)

// startChromium starts a browser for which all names of example.org are on this machine, and which trusts one
// certificate more.
func startChromium(t *testing.T, id identity) *chromium.Browser {
	t.Helper()
	certificate, err := x509.ParseCertificate(id.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return chromium.Start(t, "--host-resolver-rules=MAP *.example.org 127.0.0.1", "--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(key[:]))
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

	browser.Open(photos + "/album?year=2026")
	browser.Shows("Log in to Your Account")
	browser.Write("#login", "anna@example.org")
	browser.Write("#password", "anna")
	browser.Click("#submit-login")
	browser.Shows(photos + "/album?year=2026 user=")
	browser.Shows("email=anna@example.org")
	if got := browser.Run("return document.cookie"); got != "" {
		t.Errorf("scripts can read %q", got)
	}
	if got := browser.Run("const r = new XMLHttpRequest(); r.open('GET', '/api', false); r.send(); return r.status + r.responseText"); !strings.HasPrefix(got, "200user=") {
		t.Errorf("a script gets %q", got)
	}
	browser.Open(photos + "/.apquic/logout")
	browser.Click("button")
	browser.Shows("You are logged out")
	browser.Open(photos + "/album")
	browser.Shows("Log in to Your Account")
}
