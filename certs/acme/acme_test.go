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
	"errors"
	"fmt"
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
	"testing/synctest"
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
	c.Want("www.example.org", "")
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
	synctest.Test(t, func(t *testing.T) {
		authority, asked := away()
		log := new(logBuffer)
		c := New(Config{
			Directory: "https://authority.example", Folder: t.TempDir(), Client: &http.Client{Transport: authority}, Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		defer running.Wait()
		defer cancel()
		c.Want("www.example.org", "")
		synctest.Wait()
		if !log.has("no certificate yet") || !log.has("must point to the server") {
			t.Errorf("the log says %s", log)
		}
		once := asked.Load()
		c.Want("www.example.org", "") // again, as after a reconnect
		time.Sleep(minPause - time.Second)
		if n := asked.Load(); n != once || once == 0 {
			t.Errorf("the authority was asked %d times, and then %d times", once, n-once)
		}
		for pause := minPause; pause <= maxPause; pause *= 2 {
			before := asked.Load()
			time.Sleep(2 * time.Second)
			if asked.Load() == before {
				t.Fatalf("not asked again after %v", pause)
			}
			before = asked.Load()
			time.Sleep(min(2*pause, maxPause) - 2*time.Second)
			if n := asked.Load(); n != before {
				t.Fatalf("asked %d times within %v", n-before, min(2*pause, maxPause))
			}
		}
	})
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
	c.Want("www.example.org", "")
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

func TestDue(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	certificate := &tls.Certificate{Leaf: &x509.Certificate{NotBefore: begun, NotAfter: begun.Add(90 * 24 * time.Hour)}}
	for days, want := range map[int][2]bool{0: {}, 59: {}, 61: {true, false}, 71: {true, false}, 73: {true, true}, 91: {true, true}} {
		now := begun.Add(time.Duration(days) * 24 * time.Hour)
		if got := [2]bool{isDue(certificate, now, renewShare), isDue(certificate, now, tooOld)}; got != want {
			t.Errorf("after %d days: %v", days, got)
		}
	}
}

// TestNodesCauseFewOrders: an owner that keeps changing its domains makes the program ask the authority no more often
// than it may, many of them no more often than all may, and others have their turn meanwhile.
func TestNodesCauseFewOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var orders atomic.Int64
		c := New(Config{
			Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler),
			Limits: Limits{Burst: 4, Hourly: 2, BurstOfAll: 20, HourlyOfAll: 10},
		})
		ask := c.limits
		hostile := func(owner string, hours int) (allowed int) {
			for i := range hours * 60 {
				domain := fmt.Sprintf("%s-%d.example.org", owner, i)
				c.Want(domain, owner)
				if ask.ask(owner, time.Now()) == 0 {
					allowed++
				}
				c.Forget(domain, owner)
				time.Sleep(time.Minute)
			}
			return allowed
		}
		if n := hostile("one", 10); n < 20 || n > 4+2*10 {
			t.Errorf("one owner had %d orders in ten hours", n)
		}
		if ask.ask("neighbour", time.Now()) != 0 {
			t.Error("another owner has to wait")
		}
		time.Sleep(24 * time.Hour)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() { orders.Add(int64(hostile(fmt.Sprint("many", i), 5))) })
		}
		all.Wait()
		if n := orders.Load(); n < 50 || n > 20+10*5 {
			t.Errorf("all owners had %d orders in five hours", n)
		}
		if c.Delayed() == 0 || len(c.domains) > maxForgotten+1 {
			t.Errorf("%d delayed, %d domains are remembered", c.Delayed(), len(c.domains))
		}
	})
}

// away is an authority that does not answer, and how often it was asked.
func away() (roundTripper, *atomic.Int64) {
	asked := new(atomic.Int64)
	return func(*http.Request) (*http.Response, error) {
		asked.Add(1)
		return nil, errors.New("away")
	}, asked
}

// TestLimitedOrder: those who wait are looked at when they may order, and the log says so.
func TestLimitedOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		authority, asked := away()
		log := new(logBuffer)
		c := New(Config{
			Directory: "https://authority.example", Folder: t.TempDir(), Client: &http.Client{Transport: authority}, Log: slog.New(slog.NewTextHandler(log, nil)),
			Limits: Limits{Burst: 1, Hourly: 1, BurstOfAll: 9, HourlyOfAll: 9},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		c.Want("a.example.org", "hostile")
		c.Want("b.example.org", "hostile")
		c.Want("c.example.org", "neighbour")
		time.Sleep(time.Minute)
		if once := asked.Load(); once == 0 || !log.has("too many were ordered") || !log.has("domain=c.example.org in=2m0s") {
			t.Errorf("the authority was asked %d times: %s", once, log)
		}
		before := asked.Load()
		time.Sleep(30 * time.Minute)
		if more := asked.Load() - before; more > before {
			t.Errorf("asked %d times, and then %d times", before, more)
		}
		cancel()
		running.Wait()
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func helloFor(domain string) *tls.ClientHelloInfo { return &tls.ClientHelloInfo{ServerName: domain} }

// TestStoredBeforeOrders: clients get what is in the folder at once, also if it is due, or while orders of the same owner
// and of as many others as may have one last; a domain that is leased again gets it at once, too; and one that could not
// be kept in the folder is not ordered again.
func TestStoredBeforeOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := new(atomic.Int64)
		authority := roundTripper(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		folder := t.TempDir()
		c := New(Config{Directory: "https://authority.example", Folder: folder, Client: &http.Client{Transport: authority}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		defer running.Wait()
		defer cancel()
		for i := range 2 * maxOrders {
			c.Want(fmt.Sprint("new", i, ".example.org"), fmt.Sprint("owner", i))
		}
		time.Sleep(time.Second)
		const day = 24 * time.Hour
		store(t, folder, "fresh.example.org", time.Now().Add(-time.Hour), time.Now().Add(90*day))
		store(t, folder, "due.example.org", time.Now().Add(-80*day), time.Now().Add(10*day))
		for range 2 {
			for _, domain := range []string{"fresh.example.org", "due.example.org"} {
				c.Want(domain, "owner0")
				time.Sleep(time.Second)
				if _, err := c.GetCertificate(helloFor(domain)); err != nil {
					t.Errorf("%s: %v", domain, err)
				}
			}
			time.Sleep(10 * time.Minute)
			c.Forget("fresh.example.org", "owner0")
			c.Forget("due.example.org", "owner0")
		}
		for i := range 2 * maxOrders {
			c.Forget(fmt.Sprint("new", i, ".example.org"), fmt.Sprint("owner", i))
		}
		time.Sleep(10 * time.Minute)
		c.Want("fresh.example.org", "owner0")
		time.Sleep(time.Second)
		before := asked.Load()
		os.Remove(filepath.Join(folder, "fresh.example.org"))
		time.Sleep(3 * lookEvery)
		if n := asked.Load(); n != before || before == 0 {
			t.Errorf("the authority was asked %d times, and then %d times", before, n-before)
		}
	})
}

// TestElsewhere: nothing is ordered while clients get a certificate from elsewhere, and soon after that ends.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		authority, asked := away()
		var gone atomic.Bool
		c := New(Config{
			Directory: "https://authority.example", Folder: t.TempDir(), Client: &http.Client{Transport: authority}, Log: slog.New(slog.DiscardHandler),
			Elsewhere: func(domain string) bool { return domain == "www.example.org" && !gone.Load() },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		c.Want("www.example.org", "")
		time.Sleep(24 * time.Hour)
		before := asked.Load()
		gone.Store(true)
		time.Sleep(2 * minPause)
		if n := asked.Load(); before > 0 || n == 0 {
			t.Errorf("the authority was asked %d times before and %d times after", before, n)
		}
		cancel()
		running.Wait()
	})
}

// TestForgotten: a domain that nobody has any longer gets no client, and keeps its pause; another owner's Forget changes
// nothing.
func TestForgotten(t *testing.T) {
	t.Parallel()
	url, client, asked := refusing(t)
	folder := t.TempDir()
	store(t, folder, "www.example.org", time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour))
	c := New(Config{Directory: url, Folder: folder, Client: client, Log: slog.New(slog.DiscardHandler)})
	hello := helloFor("www.example.org")
	c.Want("www.example.org", "one")
	c.readAll(t.Context())
	c.Forget("www.example.org", "other")
	if _, err := c.GetCertificate(hello); err != nil {
		t.Error(err)
	}
	c.Forget("www.example.org", "one")
	if _, err := c.GetCertificate(hello); err == nil {
		t.Error("there is a certificate for a domain that nobody has")
	}
	c.failed("www.example.org")
	c.Want("www.example.org", "one")
	c.readAll(t.Context())
	if domain, _, _ := c.due(time.Now()); domain != "" || asked.Load() > 0 {
		t.Errorf("%q is looked at; the authority was asked %d times", domain, asked.Load())
	}
	for i := range maxForgotten + 10 {
		domain := fmt.Sprint(i, ".example.org")
		c.Want(domain, "hostile")
		c.Forget(domain, "hostile")
	}
	if n := len(c.domains); n > maxForgotten+1 {
		t.Errorf("%d domains are remembered", n)
	}
}
