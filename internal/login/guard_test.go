package login

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"apquic/internal/password"
)

// hashOf is a hash that costs little.
func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// told answers with what a site is told.
var told = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	Tell(r.Context(), AtNode, r.Header)
	fmt.Fprintf(w, "user %s, authorization %q", r.Header.Get(headerUser), r.Header.Get("Authorization"))
})

func (g *Guard) ask(t *testing.T, client, user, secret string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", "https://www.example.org/", nil)
	r.RemoteAddr = client
	if user != "" {
		r.SetBasicAuth(user, secret)
	}
	w := httptest.NewRecorder()
	g.Handler(told).ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func newGuard(t *testing.T, config Config) *Guard {
	t.Helper()
	config.Realm, config.Log = "www.example.org", slog.New(slog.DiscardHandler)
	return New(config)
}

func TestPassword(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", password.MaxLength)
	g := newGuard(t, Config{Passwords: map[string]string{"anna": hashOf(t, "secret"), "bob": hashOf(t, long)}, Work: NewWork()})
	for i, test := range []struct {
		user, password string
		status         int
	}{
		{"anna", "secret", 200},
		{"anna", "secret", 200}, // known
		{"anna", "Secret", 401},
		{"", "", 401},
		{"anna", "", 401},
		{"carl", "secret", 401},
		{"bob", "secret", 401},
		{"bob", long, 200},
		{"bob", long + "y", 401}, // bcrypt would not look at the y
		{"anna", "secret", 200},
	} {
		r := g.ask(t, fmt.Sprintf("192.0.2.%d:1", i), test.user, test.password)
		if r.StatusCode != test.status {
			t.Errorf("%s %s: %d", test.user, test.password, r.StatusCode)
		}
		if want := `Basic realm="www.example.org", charset="UTF-8"`; r.StatusCode == 401 && r.Header.Get("WWW-Authenticate") != want {
			t.Errorf("%s", r.Header)
		}
		if got, want := text(t, r), fmt.Sprintf("user %s, authorization \"\"", test.user); r.StatusCode == 200 && got != want {
			t.Errorf("the site is told %q", got)
		}
	}
	if got := g.Refused(); got[reasonNoPassword] != 1 || got[reasonWrongPassword] != 5 || len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// TestPlainRequest: a password is not even looked at without TLS.
func TestPlainRequest(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Config{Passwords: map[string]string{"anna": hashOf(t, "secret")}, Work: NewWork()})
	r := httptest.NewRequest("GET", "http://www.example.org/", nil)
	r.SetBasicAuth("anna", "secret")
	w := httptest.NewRecorder()
	g.Handler(told).ServeHTTP(w, r)
	if w.Code != 403 || g.Refused()[reasonNoTLS] != 1 {
		t.Errorf("%d, %v", w.Code, g.Refused())
	}
}

// TestAttempts: who fails too often has to wait, others do not, and neither do those who were right before.
func TestAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testAttempts) // in which no time passes
}

func testAttempts(t *testing.T) {
	g := newGuard(t, Config{Passwords: map[string]string{"anna": hashOf(t, "secret")}, Work: NewWork()})
	const guesser, sameNetwork, other = "[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"
	if got := g.ask(t, sameNetwork, "anna", "secret").StatusCode; got != 200 {
		t.Fatal(got)
	}
	statuses := map[int]int{}
	for i := range attemptBurst + 5 {
		r := g.ask(t, guesser, "anna", fmt.Sprint("wrong", i))
		statuses[r.StatusCode]++
		if r.StatusCode == 429 && r.Header.Get("Retry-After") == "" {
			t.Error("it does not say when to try again")
		}
	}
	if statuses[401] != attemptBurst || statuses[429] != 5 {
		t.Errorf("%v", statuses)
	}
	if got := g.ask(t, guesser, "anna", "secret").StatusCode; got != 200 {
		t.Errorf("who was right before: %d", got)
	}
	if got := g.ask(t, sameNetwork, "bob", "secret").StatusCode; got != 429 {
		t.Errorf("the same network: %d", got)
	}
	if got := g.ask(t, other, "bob", "secret").StatusCode; got != 401 {
		t.Errorf("another network: %d", got)
	}
	if got := g.Refused(); got[reasonTooMany] != 6 || got[reasonWrongPassword] != attemptBurst+1 {
		t.Errorf("%v", got)
	}
}

// TestFailuresAreForgiven: an address gets its attempts back, and addresses do not add up.
func TestFailuresAreForgiven(t *testing.T) {
	t.Parallel()
	w, now := NewWork(), time.Now()
	begin := func(client string) bool {
		end, err := w.begin(client, now)
		if err != nil {
			return false
		}
		end(true)
		return true
	}
	for i := range attemptBurst {
		if !begin("192.0.2.1:1") {
			t.Fatal(i)
		}
	}
	if begin("192.0.2.1:2") {
		t.Error("one more")
	}
	if now = now.Add(attemptEvery); !begin("192.0.2.1:2") || begin("192.0.2.1:3") {
		t.Error("one should be forgiven")
	}
	for i := range 2 * maxAddresses {
		begin(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255))
	}
	if got := len(w.addresses); got > maxAddresses+1 {
		t.Errorf("%d addresses are known", got)
	}
	if begin("203.0.113.1:1") {
		t.Error("addresses beyond those that are known should share an account")
	}
	if now = now.Add(attemptEvery * attemptBurst); !begin("203.0.113.2:1") || len(w.addresses) > 2 {
		t.Errorf("%d addresses are left", len(w.addresses))
	}
}

// TestWrongPasswordsFlood: many addresses guess the passwords of one site without a pause. The checks take
// about a quarter of one processor, and somebody who logs in to another site waits for one of them at most.
func TestWrongPasswordsFlood(t *testing.T) {
	t.Parallel()
	const cost, checks = bcrypt.MinCost, 12
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), cost)
	if err != nil {
		t.Fatal(err)
	}
	work := NewWork()
	newSite := func() *Guard {
		return newGuard(t, Config{Passwords: map[string]string{"anna": string(hash)}, Work: work})
	}
	flooded := newSite()
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for i := range 2 * maxOfSite {
		flood.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if flooded.ask(t, fmt.Sprintf("10.%d.%d.%d:1", i, n>>8, n&255), "anna", "wrong").StatusCode == 429 {
					time.Sleep(time.Millisecond) // the test needs the processor, too
				}
			}
		})
	}
	var checking time.Duration // of the neighbours' passwords, as long as that of each wrong one
	begun := time.Now()
	logins := 0
	for ; flooded.Refused()[reasonWrongPassword] < checks; logins++ {
		neighbour := newSite()
		if got := neighbour.ask(t, fmt.Sprintf("192.0.%d.%d:1", logins>>8, logins&255), "anna", "secret").StatusCode; got != 200 {
			t.Fatalf("login %d at the neighbour: %d", logins, got)
		}
	}
	elapsed := time.Since(begun)
	stop()
	flood.Wait()
	for range 8 {
		before := time.Now()
		bcrypt.CompareHashAndPassword(hash, []byte("wrong"))
		checking += time.Since(before) / 8
	}
	refused := flooded.Refused()
	if refused[reasonTooMany] == 0 {
		t.Error("the flood was none")
	}
	if logins < checks {
		t.Errorf("%d logins at the neighbours while %d wrong passwords were checked: they should get the larger part of the work", logins, checks)
	}
	t.Logf("%d wrong passwords were checked, %d not; %d logins at neighbours, in %v; a check alone takes %v", refused[reasonWrongPassword], refused[reasonTooMany], logins, elapsed, checking)
}

// authority certifies visitors.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{parse(t, template, template, key, key), key}
}

func parse(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a authority) certify(t *testing.T, name string, life time.Duration, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.certificate, key, a.key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// write makes the file of authorities, some time later than before.
func write(t *testing.T, file string, age time.Duration, authorities ...authority) {
	t.Helper()
	var b strings.Builder
	for _, a := range authorities {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(age)); err != nil {
		t.Fatal(err)
	}
}

// TestCertificates: a handshake needs a certificate by an authority of the file, and so does each later
// request, when the file may be another one.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ours, next, foreign := newAuthority(t, "ours"), newAuthority(t, "next"), newAuthority(t, "foreign")
	file := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := LoadAuthorities(file, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("the file is missing")
	}
	write(t, file, 0)
	if _, err := LoadAuthorities(file, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the file is empty: %v", err)
	}
	write(t, file, time.Second, ours)
	authorities, err := LoadAuthorities(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	reread := authorities.content.Look
	g := newGuard(t, Config{Authorities: authorities})
	server := &http.Server{Handler: g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Tell(r.Context(), AtNode, r.Header)
		fmt.Fprint(w, r.Header.Get(headerSubject), len(r.Header.Values(headerCert)))
	}))}
	server.TLSConfig = &tls.Config{NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{ours.certify(t, "site", time.Hour, x509.ExtKeyUsageServerAuth)}}
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	g.Demand(server.TLSConfig)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(tls.NewListener(listener, server.TLSConfig)) })
	defer serving.Wait()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(ours.certificate)
	sessions := tls.NewLRUClientSessionCache(8)
	client := func(c ...tls.Certificate) *http.Client {
		transport := &http.Transport{
			ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
				RootCAs: roots, ClientSessionCache: sessions, // used by none
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // also one that the server does not want
					return &append(c, tls.Certificate{})[0], nil
				},
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: 20 * time.Second}
	}
	ask := func(c *http.Client) string {
		r, err := c.Get("https://" + listener.Addr().String())
		if err != nil {
			return "refused"
		}
		defer r.Body.Close()
		return fmt.Sprint(r.StatusCode, " ", text(t, r))
	}
	good := client(ours.certify(t, "Anna", time.Hour, x509.ExtKeyUsageClientAuth))
	if got := ask(good); got != "200 CN=Anna1" {
		t.Error(got)
	}
	for why, c := range map[string][]tls.Certificate{
		"none": nil, "foreign": {foreign.certify(t, "Anna", time.Hour, x509.ExtKeyUsageClientAuth)},
		"expired": {ours.certify(t, "Anna", -time.Minute, x509.ExtKeyUsageClientAuth)}, "of a server": {ours.certify(t, "Anna", time.Hour, x509.ExtKeyUsageServerAuth)},
	} {
		if got := ask(client(c...)); got != "refused" {
			t.Errorf("a certificate that is %s: %s", why, got)
		}
	}
	if got := g.Refused(); got[reasonNoCertificate] == 0 || got[reasonBadCertificate] == 0 {
		t.Errorf("%v", got)
	}

	resuming := ours.certify(t, "Bob", time.Hour, x509.ExtKeyUsageClientAuth)
	if got := ask(client(resuming)); got != "200 CN=Bob1" {
		t.Error(got)
	}
	if got := ask(client(resuming)); got != "200 CN=Bob1" {
		t.Errorf("the next connection: %s", got)
	}
	write(t, file, 2*time.Second, next)
	reread()
	if got := ask(good); !strings.HasPrefix(got, "403") {
		t.Errorf("the authority is gone, and on an open connection there is %q", got)
	}
	if got := ask(client(resuming)); got != "refused" {
		t.Errorf("the authority is gone, and a new one gets %q", got)
	}
	if got := ask(client(next.certify(t, "Carl", time.Hour, x509.ExtKeyUsageClientAuth))); got != "200 CN=Carl1" {
		t.Errorf("the next authority: %s", got)
	}
	write(t, file, 3*time.Second)
	reread()
	if got := ask(client(next.certify(t, "Carl", time.Hour, x509.ExtKeyUsageClientAuth))); got != "200 CN=Carl1" {
		t.Errorf("while the file is damaged: %s", got)
	}
}

// TestVerifiedCertificates: what is remembered is bounded, and ends with the certificate.
func TestVerifiedCertificates(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, 0, ours)
	a, err := LoadAuthorities(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := ours.certify(t, "Anna", time.Minute, x509.ExtKeyUsageClientAuth)
	for range 2 {
		if _, err := a.verify([]*x509.Certificate{c.Leaf}); err != nil {
			t.Error(err)
		}
	}
	known := a.content.Last()
	for _, until := range known.verified {
		if !until.Equal(c.Leaf.NotAfter) {
			t.Errorf("until %v", until)
		}
	}
	for i := range 2 * maxVerified {
		known.remember([32]byte{byte(i), byte(i >> 8)}, []*x509.Certificate{c.Leaf})
	}
	if len(known.verified) > maxVerified {
		t.Errorf("%d are remembered", len(known.verified))
	}
}

// TestTell: the site learns what the guard knows, and nothing of that kind from outside.
func TestTell(t *testing.T) {
	t.Parallel()
	header := http.Header{"X-Forwarded-User": {"evil"}, "X_forwarded_user": {"evil"}, "X-Forwarded_Email": {"evil"}, "Client-Cert": {"evil"}, "Client-Cert-Chain": {"evil"}, "X-Client-Cert-Subject": {"evil"}, "Client_cert": {"evil"}, "X-Mine": {"stays"}, "Authorization": {"stays"}}
	Tell(t.Context(), AtNode, header)
	if len(header) != 2 {
		t.Errorf("%v", header)
	}
	for place, want := range map[Place]string{AtNode: "theme=dark", AtServer: "__Host-apquic-session=1; theme=dark"} {
		header := http.Header{"Cookie": {"__Host-apquic-session=1; theme=dark; __Host-Apquic-Server-Session=2"}}
		if Tell(t.Context(), place, header); header.Get("Cookie") != want {
			t.Errorf("%q passes on %q, want %q", place, header.Get("Cookie"), want)
		}
	}
	for value, want := range map[string]string{"anna": "anna", "Anna B": "Anna B", "ä\n": `\C3\A4\0A`} {
		if got := printable(value); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
}
