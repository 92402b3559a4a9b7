package certs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func wantMode(t testing.TB, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != want {
		t.Errorf("%s: mode %04o, want %04o", path, got, want)
	}
}

// wantFiles checks the names in a directory, so that nothing temporary is left.
func wantFiles(t testing.TB, directory string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestLoadOrCreateKey(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(directory, "key")
	made, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if content := readFile(t, path); content != hexOf(made)[:64]+"\n" {
		t.Errorf("the file holds %d bytes, want the seed in one line", len(content))
	}
	wantMode(t, path, 0o600)
	wantMode(t, directory, 0o700)
	wantMode(t, filepath.Dir(directory), 0o700)
	wantFiles(t, directory, "key")
	loaded, err := LoadOrCreateKey(path)
	if err != nil || loaded.ID() != made.ID() {
		t.Errorf("loaded %v, %v; want %v", loaded, err, made)
	}
}

func TestLoadKeyForms(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, content := range map[string]string{
		"no newline":       hexOf(key)[:64],
		"Windows line end": hexOf(key)[:64] + "\r\n",
		"both halves":      "0x" + hexOf(key) + "\n",
		"space around":     "\n  " + hexOf(key) + "\n\n",
	} {
		path := filepath.Join(t.TempDir(), "key")
		writeFile(t, path, content)
		if got, err := LoadOrCreateKey(path); err != nil || got.ID() != key.ID() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	good := hexOf(newKey(t))
	for name, content := range map[string]string{
		"empty":         "",
		"blank":         " \n",
		"truncated":     good[:63],
		"half written":  good[:20] + "\n",
		"zero bytes":    strings.Repeat("\x00", 65),
		"two lines":     good[:64] + "\n" + good[:64] + "\n",
		"too large":     good[:64] + strings.Repeat("\n", maxPrivateFile),
		"not hex":       strings.Repeat("g", 64) + "\n",
		"wrong halves":  good[64:] + good[:64] + "\n",
		"with a remark": good[:64] + " my key\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			writeFile(t, path, content)
			_, keyErr := LoadOrCreateKey(path)
			_, secretErr := LoadOrCreateSecret(path, 33)
			for _, err := range []error{keyErr, secretErr} {
				if err == nil {
					t.Fatal("no error")
				}
				if !strings.Contains(err.Error(), path) || !strings.Contains(hintOf(err), path) {
					t.Errorf("path or hint is missing: %v, hint %q", err, hintOf(err))
				}
				if strings.Contains(err.Error(), good[:8]) {
					t.Errorf("the error shows the key: %v", err)
				}
			}
			if readFile(t, path) != content {
				t.Error("the file was overwritten")
			}
			wantFiles(t, filepath.Dir(path), "file")
		})
	}
}

func TestPublishedKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	writeFile(t, path, seedKeyHex+"\n")
	_, err := LoadOrCreateKey(path)
	if _, ok := errors.AsType[*PublishedKeyError](err); !ok || !strings.Contains(hintOf(err), "remove") {
		t.Errorf("got %v, hint %q", err, hintOf(err))
	}
	if readFile(t, path) != seedKeyHex+"\n" {
		t.Error("the file was overwritten")
	}
}

func TestFileThatOthersMayUse(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	key := newKey(t)
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o777} {
		path := filepath.Join(t.TempDir(), "key")
		writeFile(t, path, hexOf(key))
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreateKey(path); err == nil || hintOf(err) != "chmod 600 "+path {
			t.Errorf("mode %04o: %v, hint %q", mode, err, hintOf(err))
		}
		wantMode(t, path, mode)
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		path := filepath.Join(t.TempDir(), "key")
		writeFile(t, path, hexOf(key))
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreateKey(path); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestUnusablePlaces(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	writeFile(t, filepath.Join(directory, "file"), "")
	for name, path := range map[string]string{
		"a directory":  directory,
		"under a file": filepath.Join(directory, "file", "key"),
		"no name":      "",
	} {
		if key, err := LoadOrCreateKey(path); err == nil || !key.IsZero() {
			t.Errorf("%s: key %v, %v", name, key, err)
		}
		if secret, err := LoadOrCreateSecret(path, 16); err == nil || secret != nil {
			t.Errorf("%s: secret, %v", name, err)
		}
	}
	wantFiles(t, directory, "file")
}

func TestDirectoryNotWritable(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("this user may write everywhere")
	}
	directory := t.TempDir()
	if err := os.Chmod(directory, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(directory, "key"), filepath.Join(directory, "new", "key")} {
		if _, err := LoadOrCreateKey(path); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v, want fs.ErrPermission", path, err)
		}
		if err := add(NewAuthorizedNodes(path), newKey(t).ID(), ""); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: Add: %v, want fs.ErrPermission", path, err)
		}
	}
}

// A power cut leaves temporary files at worst. They must neither be taken for the key nor be in the way.
func TestPowerCutLeftovers(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "key")
	writeFile(t, filepath.Join(directory, ".key.tmp-1"), "")
	writeFile(t, filepath.Join(directory, ".key.tmp-2"), hexOf(newKey(t))[:31])
	complete := newKey(t)
	writeFile(t, filepath.Join(directory, ".key.tmp-3"), hexOf(complete)[:64]+"\n")
	made, err := LoadOrCreateKey(path)
	if err != nil || made.ID() == complete.ID() {
		t.Fatalf("made %v, %v", made, err)
	}
	wantFiles(t, directory, ".key.tmp-1", ".key.tmp-2", ".key.tmp-3", "key")

	// Cut between the link and the removal of the temporary name.
	if err := os.Link(path, filepath.Join(directory, ".key.tmp-4")); err != nil {
		t.Fatal(err)
	}
	if loaded, err := LoadOrCreateKey(path); err != nil || loaded.ID() != made.ID() {
		t.Errorf("loaded %v, %v; want %v", loaded, err, made)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(directory, "secret")
	first, err := LoadOrCreateSecret(path, 16)
	if err != nil || len(first) != 16 {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	wantMode(t, path, 0o600)
	again, err := LoadOrCreateSecret(path, 16)
	if err != nil || !bytes.Equal(first, again) {
		t.Fatalf("loaded: %x, %v; want %x", again, err, first)
	}
	if _, err := LoadOrCreateSecret(path, 32); err == nil || hintOf(err) == "" {
		t.Errorf("a file of another size: %v", err)
	}
	wantFiles(t, directory, "secret")

	for _, size := range []int{-1, 0, 15, 1025} {
		if _, err := LoadOrCreateSecret(path, size); err == nil {
			t.Errorf("size %d: no error", size)
		}
	}
	largest := filepath.Join(directory, "largest")
	if _, err := LoadOrCreateSecret(largest, maxSecretSize); err != nil {
		t.Errorf("the largest secret: %v", err)
	}
	if _, err := LoadOrCreateSecret(largest, maxSecretSize); err != nil {
		t.Errorf("the largest secret, loaded: %v", err)
	}
}

func TestCreateInManyGoroutines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "key")
	ids := make([]NodeID, 16)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			key, err := LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
			}
			ids[i] = key.ID()
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("two keys: %v and %v", id, ids[0])
		}
	}
	wantFiles(t, filepath.Dir(path), "key")
}

// keyFileVariable makes this test binary a program that prints the id of a key.
const keyFileVariable = "CERTS_TEST_KEY_FILE"

func TestMain(m *testing.M) {
	path := os.Getenv(keyFileVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	io.Copy(io.Discard, os.Stdin) // all begin when the pipe closes
	key, err := LoadOrCreateKey(path)
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString(key.ID().String())
}

func TestCreateInManyProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "key")
	start, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer start.Close()
	outputs := make([]bytes.Buffer, 6)
	var programs []*exec.Cmd
	for i := range outputs {
		program := exec.CommandContext(t.Context(), os.Args[0])
		program.Env = append(os.Environ(), keyFileVariable+"="+path)
		program.Stdin, program.Stdout, program.Stderr = start, &outputs[i], &outputs[i]
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		programs = append(programs, program)
	}
	release.Close()
	for i, program := range programs {
		if err := program.Wait(); err != nil {
			t.Fatalf("%v: %s", err, &outputs[i])
		}
	}
	key, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range outputs {
		if got := outputs[i].String(); got != key.ID().String() {
			t.Errorf("a program has %s, the file %v", got, key.ID())
		}
	}
	wantFiles(t, filepath.Dir(path), "key")
}

func TestClaimAndRename(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "key")
	if err := writePrivateFile(path, "first", claimAndRename); err != nil {
		t.Fatal(err)
	}
	wantMode(t, path, 0o600)
	if err := writePrivateFile(path, "second", claimAndRename); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second: %v, want fs.ErrExist", err)
	}
	if got := readFile(t, path); got != "first\n" {
		t.Errorf("the file holds %q", got)
	}
	wantFiles(t, directory, "key")

	// The claim must be removed if the file cannot follow, or no start could succeed.
	if err := placeNew(filepath.Join(directory, "missing"), filepath.Join(directory, "other")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no temporary file: %v", err)
	}
	wantFiles(t, directory, "key")
}

// TestToken: a new one is random, one that somebody wrote is taken if nobody guesses it, and errors do not show it.
func TestToken(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "token")
	first, err := LoadOrCreateToken(path)
	if err != nil || len(first) != 64 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := LoadOrCreateToken(path); err != nil || again != first {
		t.Errorf("again: %q, %v", again, err)
	}
	if other, err := LoadOrCreateToken(filepath.Join(directory, "other")); err != nil || other == first {
		t.Errorf("another: %q, %v", other, err)
	}
	for text, ok := range map[string]bool{
		"Kq8/vZ+4nq0S6dJ2x7yB5uWm1rT3cG9h": true, "Kq8/vZ+4nq0S6dJ2x7yB5uWm1rT3cG9h\n": true, "0123456789abcdef0123456789abcde": false,
		"two words that are long enough for a token": false, "ümlaute are not in the header of a request.": false, "\n": false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := LoadOrCreateToken(path)
		if (err == nil) != ok || ok && token != strings.TrimSpace(text) || err != nil && strings.TrimSpace(text) != "" && strings.Contains(err.Error(), strings.TrimSpace(text)) {
			t.Errorf("%q: %q, %v", text, token, err)
		}
	}
}
