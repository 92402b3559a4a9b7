package certs

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSucceedKey(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, next, previous := filepath.Join(folder, "key"), filepath.Join(folder, "next_key"), filepath.Join(folder, "previous_key")
	if key, err := LoadKeyIfThere(next); err != nil || !key.IsZero() {
		t.Errorf("before there is one: %v, %v", key, err)
	}
	first, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SucceedKey(path, next, previous); err == nil {
		t.Error("nobody succeeds, and no error")
	}
	for range 2 {
		announced, err := LoadOrCreateKey(next)
		if err != nil {
			t.Fatal(err)
		}
		key, err := SucceedKey(path, next, previous)
		if err != nil || key.ID() != announced.ID() {
			t.Fatalf("%v, %v", key, err)
		}
		for file, want := range map[string]NodeID{path: announced.ID(), previous: first.ID(), next: {}} {
			if got, err := LoadKeyIfThere(file); err != nil || got.ID() != want {
				t.Errorf("%s: %v, %v, want the key of %v", file, got, err, want)
			}
		}
		if info, err := os.Stat(previous); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		first = announced
	}
	if err := os.WriteFile(next, []byte("damaged\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SucceedKey(path, next, previous); err == nil || hintOf(err) == "" {
		t.Errorf("a damaged key: %v", err)
	}
	if key, err := LoadOrCreateKey(path); err != nil || key.ID() != first.ID() {
		t.Errorf("after that: %v, %v", key, err)
	}
}
