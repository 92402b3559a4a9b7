package web

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFolder: certificates are found by name and by wildcard, in both layouts; files that come, change or go are
// noticed while the program runs, and a damaged one spoils no other.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	age := 0
	write := func(certificate, key string, names ...string) {
		t.Helper()
		_, certText, keyText := newCertificate(t, names...)
		age++
		for file, text := range map[string][]byte{certificate: certText, key: keyText} {
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Duration(age)*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("www.crt", "www.key", "www.example.org", "Example.org")
	write("home.pem", "home.key", "*.home.example.org")
	write("cloud.example.org/fullchain.pem", "cloud.example.org/privkey.pem", "cloud.example.org")
	write("alone.crt", "alone.txt", "alone.example.org")
	var log bytes.Buffer
	f, err := OpenFolder(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	look := func(name string) string {
		f.pairs.Look()
		c := f.Certificate(name)
		if c == nil {
			return ""
		}
		return fmt.Sprint(c.Leaf.DNSNames, c.Leaf.SerialNumber)
	}
	for name, want := range map[string]string{
		"www.example.org": "[www.example.org", "example.org": "[www.example.org", "tv.home.example.org": "[*.home", "*.home.example.org": "[*.home",
		"cloud.example.org": "[cloud", "alone.example.org": "", "home.example.org": "", "a.tv.home.example.org": "", "": "", "other.org": "",
	} {
		if got := look(name); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	before := look("www.example.org")
	write("www.crt", "www.key", "www.example.org")
	write("new.crt", "new.key", "new.example.org")
	if after := look("www.example.org"); after == before || look("new.example.org") == "" || look("example.org") != "" {
		t.Errorf("after a change: %q, before %q", after, before)
	}
	os.WriteFile(filepath.Join(dir, "bad.crt"), []byte("?"), 0o600)
	os.WriteFile(filepath.Join(dir, "bad.key"), []byte("?"), 0o600)
	os.Remove(filepath.Join(dir, "new.key"))
	if look("new.example.org") != "" || look("www.example.org") == "" || strings.Count(log.String(), "bad.crt") == 0 {
		t.Errorf("after a removal: %s", &log)
	}
	lines, now := strings.Count(log.String(), "\n"), look("www.example.org")
	look("www.example.org")
	if n := strings.Count(log.String(), "\n"); n != lines {
		t.Errorf("it complains again: %s", &log)
	}
	os.Remove(filepath.Join(dir, "new.crt"))
	os.WriteFile(filepath.Join(dir, "www.key"), []byte("?"), 0o600)
	if look("www.example.org") != now || strings.Count(log.String(), "www.key") == 0 {
		t.Errorf("a pair that was damaged: %q, %s", look("www.example.org"), &log)
	}
	lines = strings.Count(log.String(), "\n")
	write("bad.crt", "bad.key", "bad.example.org")
	write("www.crt", "www.key", "www.example.org")
	if look("bad.example.org") == "" || look("www.example.org") == now || strings.Count(log.String(), "\n") != lines+1 || !strings.HasSuffix(log.String(), "was read again\"\n") {
		t.Errorf("all is well again: %s", &log)
	}
	os.Rename(dir, dir+"-away")
	if look("cloud.example.org") == "" || strings.Count(log.String(), "no such file") != 1 {
		t.Errorf("the folder is away: %s", &log)
	}
	os.Rename(dir+"-away", dir)
	os.WriteFile(filepath.Join(dir, "bad.crt"), []byte("?"), 0o600)
	if _, err := OpenFolder(dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "bad.crt") {
		t.Errorf("a damaged file at the start: %v", err)
	}
	if f, err := OpenFolder(t.TempDir(), slog.New(slog.DiscardHandler)); err != nil || f.Certificate("www.example.org") != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := OpenFolder(filepath.Join(dir, "missing"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a missing folder is opened")
	}
}
