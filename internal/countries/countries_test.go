package countries

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/internal/hint"
)

const fixture = "testdata/countries.mmdb"

// TestCountry: what a file says of addresses.
func TestCountry(t *testing.T) {
	t.Parallel()
	f, err := Open(fixture, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"127.0.0.1": "DE", "127.0.0.2": "FR", "::ffff:127.0.0.2": "FR", "127.0.0.3": "", "192.0.2.1": "AT", "192.0.2.200": "CH",
		"2001:db8:1::1": "JP", "2001:db9::1": "", "fe80::1%eth0": "", "198.51.100.1": "SE", "203.0.113.1": "", "": "",
	} {
		parsed, _ := netip.ParseAddr(address)
		if got := f.Country(parsed); got != want {
			t.Errorf("%q is in %q, want %q", address, got, want)
		}
	}
}

// TestBadFiles: a file that is damaged, or something else, is not used, and the error says so.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), good...)
	for i := range 64 {
		damaged[i] = 0xff
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("country,network\n"), "truncated": good[:len(good)/2], "damaged": damaged,
	} {
		path := filepath.Join(t.TempDir(), "countries.mmdb")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "is not a database of countries") || hint.Of(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = Open(filepath.Join(t.TempDir(), "none"), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "cannot be read: no such file") {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open(t.TempDir(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
}

// TestChangedFile: a file that has changed is used at once when asked to, and one that is damaged never, not even if it
// is overwritten where it is.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "countries.mmdb")
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	logged := make(chan string, 10)
	f, err := Open(path, slog.New(slog.NewTextHandler(lines(logged), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { f.Run(ctx) })
	want := func(says, country string) {
		t.Helper()
		f.Reload()
		if line := <-logged; !strings.Contains(line, says) {
			t.Errorf("logged: %s", line)
		}
		if got := f.Country(netip.MustParseAddr("127.0.0.1")); got != country {
			t.Errorf("after %q the country is %q, want %q", says, got, country)
		}
	}
	write(good[:100])
	want("cannot be used", "DE")
	write([]byte(strings.ReplaceAll(string(good), "BDE", "BNL")))
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	want("read again", "NL")
}

type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }
