package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// visited says who the node says the visitor is.
var visited = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "websocket" {
		site(w, r)
		return
	}
	fmt.Fprintf(w, "user=%s email=%s subject=%s certificate=%v authorization=%q cookies=%q\n", r.Header.Get("X-Forwarded-User"), r.Header.Get("X-Forwarded-Email"),
		r.Header.Get("X-Client-Cert-Subject"), r.Header.Get("Client-Cert") != "", r.Header.Get("Authorization"), r.Header.Get("Cookie"))
})

// hashPassword runs apquic-node hash-password, and returns the line for the file.
func hashPassword(t *testing.T, user, secret string) string {
	t.Helper()
	hash := exec.Command(filepath.Join(bin, "apquic-node"), "hash-password", user)
	hash.Stdin = strings.NewReader(secret + "\n")
	line, err := hash.Output()
	if err != nil || strings.Contains(string(line), secret) {
		t.Fatalf("%s, %v", line, err)
	}
	return strings.TrimSpace(string(line))
}

// cheapHash is a line as by hashPassword, which costs as little as may be.
func cheapHash(t *testing.T, user, secret string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), 10)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q: %q", user, hash)
}

// statusOf asks curl for the status of an answer alone.
func (n *named) statusOf(t *testing.T, url, authority string, arguments ...string) string {
	t.Helper()
	return n.curl(t, url, authority, append(arguments, "--output", os.DevNull, "--write-out", "%{http_code}")...)
}

// refusals asks the running node for how many visitors of a service it refused, by reason.
func refusals(t *testing.T, data, service string) map[string]int {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, "apquic-node"), "status", "--json", "--data-dir", data).Output()
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		Services []struct {
			Service string
			Refused map[string]int
		}
	}
	if err := json.Unmarshal(out, &status); err != nil {
		t.Fatal(err)
	}
	for _, s := range status.Services {
		if s.Service == service {
			return s.Refused
		}
	}
	t.Fatalf("%s", out)
	return nil
}

// TestPasswordOfDomain: visitors of a name need a password that is in the file as a hash, over HTTP/1.1 and
// HTTP/2 and for WebSocket; refusals are counted; neither check, status nor log has a secret.
func TestPasswordOfDomain(t *testing.T) {
	needCurl(t)
	t.Parallel()
	const name, secret = "photos.example.org", "correct horse"
	id := newIdentity(t, name, "open.example.org")
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	n := newNamedServer(t)
	dir := t.TempDir()
	line := hashPassword(t, "anna", secret)
	n.launchNode(t, dir, detached, fmt.Sprintf(`
		"photos": {"upstream": %q, "domain": %q, "certificate": %q, "key": %q, "password": {%s}},
		"open": {"upstream": %q, "domain": "open.example.org", "certificate": %q, "key": %q}`,
		upstream.URL, name, id.certFile, id.keyFile, line, upstream.URL, id.certFile, id.keyFile))
	waitFor(t, n.node.stdout, `^photos +https://`+name)
	waitFor(t, n.node.stdout, `^open +https://`)
	url := "https://" + name + "/"
	want := `user=anna email= subject= certificate=false authorization="" cookies=""` + "\n"
	for _, version := range []string{"--http1.1", "--http2"} {
		if got := n.curl(t, url, id.certFile, version, "--user", "anna:"+secret, "--header", "X-Forwarded-User: root", "--header", "X_Forwarded_User: root"); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
		if got := n.statusOf(t, url, id.certFile, version); got != "401" {
			t.Errorf("without a password: %s", got)
		}
	}
	if got := n.statusOf(t, url, id.certFile, "--http1.1", "--header", "Connection: Upgrade", "--header", "Upgrade: websocket"); got != "401" {
		t.Errorf("a WebSocket without a password: %s", got)
	}
	if got := n.curl(t, "https://open.example.org/", id.certFile, "--user", "bob:other", "--header", "X-Forwarded-User: root", "--header", "Client-Cert: :AA==:"); !strings.HasPrefix(got, `user= email= subject= certificate=false authorization="Basic `) {
		t.Errorf("a site for everybody: %q", got)
	}
	var guessing sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	guesser := n.client(t, id.roots)
	for range 16 {
		guessing.Go(func() {
			status := n.get(guesser, name, "wrong")
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	guessing.Wait()
	if statuses[401] == 0 || statuses[429] < 6 || len(statuses) != 2 {
		t.Errorf("wrong passwords: %v", statuses)
	}
	if got := n.statusOf(t, url, id.certFile, "--user", "anna:"+secret); got != "200" {
		t.Errorf("who was right before, from the same address: %s", got)
	}
	data := filepath.Join(dir, "data")
	if got := refusals(t, data, "photos"); got["no password"] != 3 || got["wrong password"] != statuses[401] || got["too many attempts"] != statuses[429] {
		t.Errorf("%v, and the client saw %v", got, statuses)
	}
	text, err := exec.Command(filepath.Join(bin, "apquic-node"), "status", "--data-dir", data).Output()
	if err != nil || !strings.Contains(string(text), "photos: visitors refused since the start: ") || !strings.Contains(string(text), "3 no password") {
		t.Errorf("%s, %v", text, err)
	}
	waitFor(t, n.node.stderr, "visitors were refused")
	check, err := exec.Command(filepath.Join(bin, "apquic-node"), "check", "-c", filepath.Join(dir, "node.json")).CombinedOutput()
	if err != nil || !strings.Contains(string(check), "for visitors with the password of one user") {
		t.Errorf("%s, %v", check, err)
	}
	hash := strings.Trim(strings.TrimPrefix(line, `"anna": `), `"`)
	for where, text := range map[string]string{"check": string(check), "status": string(text), "the log": n.node.stderr.text()} {
		if strings.Contains(text, hash) || strings.Contains(text, secret) {
			t.Errorf("%s has a secret: %s", where, text)
		}
	}
}

// TestPlainPasswordInFile: a password that is written as it is, is refused with what to do, and not repeated.
func TestPlainPasswordInFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "node.json")
	if err := os.WriteFile(file, []byte(`{"services": {"web": {"upstream": "http://127.0.0.1:80", "domain": "a.example.org", "password": {"anna": "geheim"}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(bin, "apquic-node"), "check", "-c", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "node.json:1:") || !strings.Contains(string(out), "apquic-node hash-password NAME") || strings.Contains(string(out), "geheim") {
		t.Errorf("%s, %v", out, err)
	}
}

// TestWrongPasswordsSlowNobodyElse: while many clients guess the password of one site of a node, its other
// sites answer, and take no password for longer.
func TestWrongPasswordsSlowNobodyElse(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "a.example.org", "b.example.org")
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	n := newNamed(t, fmt.Sprintf(`
		"a": {"upstream": %q, "domain": "a.example.org", "certificate": %q, "key": %q, "password": {%s}},
		"b": {"upstream": %q, "domain": "b.example.org", "certificate": %q, "key": %q}`,
		upstream.URL, id.certFile, id.keyFile, cheapHash(t, "anna", "secret"), upstream.URL, id.certFile, id.keyFile))
	waitFor(t, n.node.stdout, `^a +https://`)
	waitFor(t, n.node.stdout, `^b +https://`)
	neighbour := n.client(t, id.roots)
	statuses := map[int]int{}
	asked := time.Duration(math.MaxInt64)
	guessed := asked
	for range 3 { // what else runs on this machine disturbs both
		asked = min(asked, n.flooded(t, id, neighbour, "", map[int]int{}))
		guessed = min(guessed, n.flooded(t, id, neighbour, "wrong", statuses))
	}
	t.Logf("40 requests take %v while others ask without a password, %v while they guess, who got %v", asked, guessed, statuses)
	if statuses[401] == 0 || statuses[429] == 0 {
		t.Errorf("the flood got %v", statuses)
	}
	if guessed > 10*asked+500*time.Millisecond { // it was 180 times as long before passwords had a queue
		t.Errorf("40 requests take %v while others guess passwords, and %v while they do not", guessed, asked)
	}
}

// flooded is how long a client of one site needs for 40 requests while many send a password to another one;
// it counts the statuses of what they get.
func (n *named) flooded(t *testing.T, id identity, neighbour *http.Client, secret string, statuses map[int]int) time.Duration {
	t.Helper()
	stop := make(chan struct{})
	var flood sync.WaitGroup
	var mu sync.Mutex
	defer flood.Wait()
	defer close(stop)
	for range 12 {
		client := n.client(t, id.roots)
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				status := n.get(client, "a.example.org", secret)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	n.get(neighbour, "b.example.org", "anything") // it has connected
	begun := time.Now()
	for range 40 {
		if got := n.get(neighbour, "b.example.org", "anything"); got != 200 {
			t.Fatalf("the neighbour gets %d", got)
		}
	}
	return time.Since(begun)
}

// get sends a password, if any, to a name, and returns the status of the answer; 0: none.
func (n *named) get(client *http.Client, name, secret string) int {
	request, _ := http.NewRequest("GET", "https://"+name+":"+n.https+"/", nil) // its error would be about the name
	if secret != "" {
		request.SetBasicAuth("anna", secret)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// client is a client that reaches each name at the server, over HTTP/2.
func (n *named) client(t *testing.T, roots *x509.CertPool, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+n.https)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, Certificates: certificates}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// visitorCertificate is by an authority of visitors, in files for curl.
func visitorCertificate(t *testing.T, by identity, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := x509.ParseCertificate(by.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: []string{"Home"}}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, parent, &key.PublicKey, by.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "visitor.pem"), filepath.Join(dir, "visitor.key")
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", private)
	return certFile, keyFile
}

// TestClientCertificateOfDomain: visitors of a name need a certificate by an authority in the file, also
// together with a password; a connection to another name of the same node, whose certificate covers both,
// does not get around it.
func TestClientCertificateOfDomain(t *testing.T) {
	needCurl(t)
	t.Parallel()
	id := newIdentity(t, "*.example.org")
	family, strangers := newIdentity(t, "family"), newIdentity(t, "strangers")
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	n := newNamedServer(t)
	dir := t.TempDir()
	files := fmt.Sprintf(`"upstream": %q, "certificate": %q, "key": %q`, upstream.URL, id.certFile, id.keyFile)
	n.launchNode(t, dir, detached, fmt.Sprintf(`
		"safe": {%s, "domain": "safe.example.org", "clientCA": %q},
		"both": {%s, "domain": "both.example.org", "clientCA": %q, "password": {%s}},
		"open": {%s, "domain": "*.example.org", "http": "serve"}`, files, family.certFile, files, family.certFile, cheapHash(t, "anna", "secret"), files))
	for _, service := range []string{"safe", "both", "open"} {
		waitFor(t, n.node.stdout, `^`+service+` +https://`)
	}
	certFile, keyFile := visitorCertificate(t, family, "Anna")
	mine := []string{"--cert", certFile, "--key", keyFile}
	want := `user= email= subject=CN=Anna,O=Home certificate=true authorization="" cookies=""` + "\n"
	for _, version := range []string{"--http1.1", "--http2", "--tls-max=1.2"} {
		version = strings.Replace(version, "=", " ", 1)
		if got := n.curl(t, "https://safe.example.org/", id.certFile, append(strings.Fields(version), append(mine, "--header", "X-Client-Cert-Subject: CN=root")...)...); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
	certFile, keyFile = visitorCertificate(t, strangers, "Anna")
	for why, arguments := range map[string][]string{"none": nil, "of another authority": {"--cert", certFile, "--key", keyFile}} {
		if out, err := n.tryCurl("https://safe.example.org/", id.certFile, arguments...); err == nil {
			t.Errorf("a certificate that is %s: %s", why, out)
		}
	}
	if got := n.statusOf(t, "https://both.example.org/", id.certFile, mine...); got != "401" {
		t.Errorf("a certificate without a password: %s", got)
	}
	if got := n.curl(t, "https://both.example.org/", id.certFile, append(mine, "--user", "anna:secret")...); !strings.Contains(got, "user=anna email= subject=CN=Anna,O=Home certificate=true") {
		t.Errorf("both: %q", got)
	}
	if out, err := n.tryCurl("https://both.example.org/", id.certFile, "--user", "anna:secret"); err == nil {
		t.Errorf("a password without a certificate: %s", out)
	}
	for _, version := range []string{"--http1.1", "--http2"} {
		if got := n.statusOf(t, "https://tv.example.org/", id.certFile, version, "--header", "Host: safe.example.org"); got != "421" {
			t.Errorf("%s, over a connection to another name: %s", version, got)
		}
	}
	plain := fmt.Sprintf("http://tv.example.org:%s/", n.http)
	out, err := exec.Command("curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--connect-to", "::127.0.0.1:", plain, "--next", "--silent", "--header", "Host: safe.example.org",
		"--connect-to", "::127.0.0.1:", "--noproxy", "*", plain).CombinedOutput()
	if err != nil || strings.Count(string(out), "user=") != 1 || !strings.Contains(string(out), "This is another site") {
		t.Errorf("over a connection without TLS to another name: %s, %v", out, err)
	}
	if got := refusals(t, filepath.Join(dir, "data"), "safe"); got["no certificate"] == 0 || got["certificate not trusted"] == 0 {
		t.Errorf("%v", got)
	}
}

// TestClientCertificateWithPebble: an authority checks a name whose visitors need a certificate, and needs
// none.
func TestClientCertificateWithPebble(t *testing.T) {
	needCurl(t)
	t.Parallel()
	family := newIdentity(t, "family")
	upstream := httptest.NewServer(visited)
	defer upstream.Close()
	n := newNamedServer(t)
	authority := startPebble(t, n.https, "1")
	trust := func(c *exec.Cmd) { c.Env = append(os.Environ(), "SSL_CERT_FILE="+authority.own.certFile) }
	n.launchNode(t, t.TempDir(), trust, fmt.Sprintf(`"safe": {"upstream": %q, "domain": "safe.example.org", "clientCA": %q}`, upstream.URL, family.certFile),
		"--acme-directory", authority.directory)
	waitFor(t, n.node.stdout, `^safe +https://`)
	waitFor(t, n.node.stderr, `the domain has a certificate.*safe.example.org`)
	certFile, keyFile := visitorCertificate(t, family, "Anna")
	if got := n.curl(t, "https://safe.example.org/", authority.roots, "--cert", certFile, "--key", keyFile); !strings.Contains(got, "subject=CN=Anna,O=Home certificate=true") {
		t.Errorf("%q", got)
	}
	if out, err := n.tryCurl("https://safe.example.org/", authority.roots); err == nil {
		t.Errorf("without a certificate: %s", out)
	}
}
