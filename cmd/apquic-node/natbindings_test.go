package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"apquic/quicproxy/node"
)

func TestNATBindingsFile(t *testing.T) {
	t.Parallel()
	file := natBindingsFile(filepath.Join(t.TempDir(), "new", natBindingsName))
	if known, err := file.Load(); err != nil || len(known) != 0 {
		t.Errorf("before there is a file: %v, %v", known, err)
	}
	want := []node.NATBinding{
		{Network: "192.0.2.1 192.168.1.2", Proven: 3 * time.Minute, Failed: 5 * time.Minute, Found: time.Unix(1e9, 0).UTC()},
		{Network: "2001:db8:: 2001:db8::7", Losses: 2},
	}
	if err := file.Save(want); err != nil {
		t.Fatal(err)
	}
	if got, err := file.Load(); err != nil || !slices.Equal(got, want) {
		t.Errorf("saved %v, loaded %v, %v", want, got, err)
	}
	for _, text := range []string{"", "{", "{}", `[{"provenSeconds": "x"}]`, `[{"provenSeconds": -1}]`, `[{"provenSeconds": 1000000000000}]`, `[{"found": "yesterday"}]`} {
		if err := os.WriteFile(string(file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if known, err := file.Load(); err == nil || known != nil {
			t.Errorf("%s: loaded %v", text, known)
		}
	}
}
