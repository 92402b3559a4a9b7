package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// refusing is an authority that answers nothing, and counts.
func refusing(t *testing.T) (url string, client *http.Client, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	authority := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(authority.Close)
	return authority.URL, authority.Client(), asked
}

type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.String(), text)
}

// store puts a certificate into the folder, as an earlier order did.
func store(t *testing.T, folder, domain string, begun, ends time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{domain}, NotBefore: begun, NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(filepath.Join(folder, domain), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestClientsCauseNoOrder: neither clients nor those who say that they are the authority make the node ask it.
func TestClientsCauseNoOrder(t *testing.T) {
	t.Parallel()
	url, client, asked := refusing(t)
	c := New(Config{Directory: url, Folder: t.TempDir(), Client: client, Log: slog.New(slog.DiscardHandler)})
	c.Want("www.example.org")
	for _, name := range []string{"www.example.org", "WWW.example.org", "other.example.org", "", "..", "/etc/passwd", "a\x00.example.org"} {
		for _, protocols := range [][]string{nil, {"h2"}, {Protocol}, {Protocol, "h2"}} {
			if certificate, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: protocols}); err == nil {
				t.Errorf("%q, %q: %v", name, protocols, certificate)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the authority was asked %d times", n)
	}
}

// TestFailedOrder: an order that fails is logged with what to do, and tried again only after a pause.
func TestFailedOrder(t *testing.T) {
	t.Parallel()
	url, client, asked := refusing(t)
	log := new(logBuffer)
	c := New(Config{Directory: url, Folder: t.TempDir(), Client: client, Log: slog.New(slog.NewTextHandler(log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	c.Want("www.example.org")
	until(t, "a warning", func() bool { return log.has("no certificate yet") && log.has("must point to the server") })
	once := asked.Load()
	c.Want("www.example.org") // again, as after a reconnect
	time.Sleep(50 * time.Millisecond)
	if n := asked.Load(); n != once || once == 0 {
		t.Errorf("the authority was asked %d times, and then %d", once, n)
	}
	cancel()
	running.Wait()
	pause := time.Duration(0)
	for want := minPause; ; want = min(2*want, maxPause) {
		c.wanted["www.example.org"].pause = pause
		c.tend(t.Context(), "www.example.org")
		if pause = c.wanted["www.example.org"].pause; pause != want {
			t.Fatalf("the pause is %v, want %v", pause, want)
		}
		if want == maxPause {
			break
		}
	}
}

// TestStoredCertificate: a certificate from before is used without an order, for the names of that domain only;
// one whose renewal is overdue is reported.
func TestStoredCertificate(t *testing.T) {
	t.Parallel()
	url, client, asked := refusing(t)
	log := new(logBuffer)
	folder := t.TempDir()
	store(t, folder, "www.example.org", time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour))
	c := New(Config{Directory: url, Folder: folder, Client: client, Log: slog.New(slog.NewTextHandler(log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer cancel()
	c.Want("www.example.org")
	until(t, "a certificate", func() bool { return log.has("the domain has a certificate") })
	for name, want := range map[string]bool{"www.example.org": true, "WWW.Example.org": true, "other.example.org": false} {
		// One without ECDSA suites of TLS 1.2 gets the same.
		certificate, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}})
		if (err == nil) != want || want && certificate.Leaf.DNSNames[0] != "www.example.org" {
			t.Errorf("%s: %v, %v", name, certificate, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the authority was asked %d times", n)
	}
}

func TestOverdue(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	leaf := &x509.Certificate{NotBefore: begun, NotAfter: begun.Add(90 * 24 * time.Hour)}
	for days, want := range map[int]bool{0: false, 60: false, 71: false, 73: true, 91: true} {
		if got := overdue(&tls.Certificate{Leaf: leaf}, begun.Add(time.Duration(days)*24*time.Hour)); got != want {
			t.Errorf("after %d days: %v", days, got)
		}
	}
}
