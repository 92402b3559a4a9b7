package acme

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// names are the files in a folder.
func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

// TestEndedCertificatesGo: what is left of domains that nobody has any longer goes a while after it has ended, and nothing
// else does.
func TestEndedCertificatesGo(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	folder, now := t.TempDir(), time.Now()
	for domain, ended := range map[string]time.Duration{"gone.example.org": 31 * day, "late.example.org": 29 * day, "fresh.example.org": -60 * day, "wanted.example.org": 31 * day} {
		store(t, folder, domain, now.Add(-ended-90*day), now.Add(-ended))
	}
	for _, name := range []string{accountFile, "notes.txt"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("an operator's"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "kept"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, folder) {
		if err := os.Chtimes(filepath.Join(folder, name), time.Time{}, now.Add(-120*day)); err != nil {
			t.Fatal(err)
		}
	}
	store(t, folder, "restored.example.org", now.Add(-130*day), now.Add(-40*day)) // written just now
	url, client, _ := refusing(t)
	log := new(logBuffer)
	c := New(Config{Directory: url, Folder: folder, Client: client, Log: slog.New(slog.NewTextHandler(log, nil))})
	c.Want("wanted.example.org", "")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	until(t, "a line of the log", func() bool { return log.has("certificates=1") })
	cancel()
	running.Wait()
	want := []string{accountFile, "fresh.example.org", "kept", "late.example.org", "notes.txt", "restored.example.org", "wanted.example.org"}
	if got := names(t, folder); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
}

// TestOrdersKeepTheirFile: while a domain is looked at, also after it was forgotten, its file stays: an order may be about
// to replace it.
func TestOrdersKeepTheirFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	store(t, folder, "www.example.org", time.Now().Add(-200*24*time.Hour), time.Now().Add(-100*24*time.Hour))
	c := New(Config{Folder: folder, Log: slog.New(slog.DiscardHandler)})
	c.Want("www.example.org", "one")
	c.readAll(t.Context())
	domain, owner, _ := c.due(time.Now())
	c.Forget("www.example.org", "one")
	later := time.Now().Add(endedFor + time.Hour) // than the file was written
	if c.sweep(t.Context(), later); domain == "" || len(names(t, folder)) != 1 {
		t.Errorf("%q is looked at, %v are left", domain, names(t, folder))
	}
	c.done(domain, owner)
	if c.sweep(t.Context(), later); len(names(t, folder)) != 0 {
		t.Errorf("%v are left", names(t, folder))
	}
}
