package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/internal/hint"
)

const passphrase = "correct horse battery"

var about = About{Program: "apquic-server v1", Made: time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC), Server: "id", Address: "tunnel.example.com:8090"}

// directory is one with a file of each kind. What is checked begins with "key"; what is put is doubled.
func directory(path string) Directory {
	return Directory{Path: path, work: 1, Files: []File{
		{Name: "key", Max: 100, Together: true, Check: func(path string, about About) error {
			content, err := os.ReadFile(path)
			if err == nil && (!strings.HasPrefix(string(content), "key") || about.Server != "id") {
				err = errors.New("no key")
			}
			return err
		}},
		{Name: "next_key", Max: 100, Together: true},
		{Name: "leases.db", Entry: "leases", Max: 1 << 20, Source: ".copy", Put: func(root *os.Root, name string, from io.Reader) error {
			content, err := io.ReadAll(from)
			if err != nil {
				return err
			}
			return root.WriteFile(name, append(content, content...), 0o600)
		}},
		{Name: "nodes", Max: 1 << 20},
		{Name: "acme", Max: 1000, Folder: true},
	}}
}

// write makes files in a new directory.
func write(t testing.TB, files map[string]string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "data")
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(path, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// list returns all files below a path with what is in them; nil: it does not exist.
func list(t testing.TB, path string) map[string]string {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	files := make(map[string]string)
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		name, _ := filepath.Rel(path, file)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var example = map[string]string{
	"key": "key 1", ".copy": "leases", "nodes": strings.Repeat("a node\n", 30000), "leases.db": "not saved",
	"acme/account+key": "account", "acme/photos.example.org": "certificate", "acme/.hidden": "no", "peers": "not saved", "control.sock": "not saved",
}

func save(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := directory(write(t, files)).Save(t.Context(), &b, passphrase, about); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func restore(t testing.TB, path string, from []byte, passphrase string) error {
	t.Helper()
	_, err := directory(path).Restore(t.Context(), bytes.NewReader(from), passphrase)
	return err
}

// TestRestore: what was saved is back, in a directory that did not exist, and in one that was empty.
func TestRestore(t *testing.T) {
	t.Parallel()
	saved := save(t, example)
	want := map[string]string{"key": "key 1", "leases.db": "leasesleases", "nodes": example["nodes"], "acme/account+key": "account", "acme/photos.example.org": "certificate"}
	for _, path := range []string{filepath.Join(t.TempDir(), "new"), t.TempDir()} {
		if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, 0o700)
		got, err := directory(path).Restore(t.Context(), bytes.NewReader(saved), passphrase)
		if err != nil || !got.Made.Equal(about.Made) || got.Address != about.Address || got.Server != about.Server {
			t.Errorf("%+v, %v", got, err)
		}
		if got := list(t, path); !maps.Equal(got, want) {
			t.Errorf("%v are there", slices.Sorted(maps.Keys(got)))
		}
		if err := CheckFinished(path); err != nil {
			t.Error(err)
		}
	}
	if bytes.Contains(saved, []byte("a node")) || bytes.Contains(saved, []byte("tunnel.example.com")) {
		t.Error("it can be read without a passphrase")
	}
}

// TestNothingIsOverwritten: a directory that has any of the files stays as it is.
func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	saved := save(t, example)
	for _, name := range []string{"key", "leases.db", "nodes", "acme/x"} {
		there := map[string]string{name: "mine", "other": "mine"}
		path := write(t, there)
		err := restore(t, path, saved, passphrase)
		if err == nil || !strings.Contains(err.Error(), path) || hint.Of(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		if got := list(t, path); !maps.Equal(got, there) {
			t.Errorf("%s: now there is %v", name, got)
		}
	}
}

// TestInterrupted: after kill -9 while files were collected, a restore begins again; after a power cut while they got
// their places, nobody uses a part of them.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	saved := save(t, example)
	path := write(t, map[string]string{"restoring/key": "half"})
	if err := CheckFinished(path); err == nil || hint.Of(err) == "" {
		t.Errorf("a server would start: %v", err)
	}
	if err := restore(t, path, saved, passphrase); err != nil || CheckFinished(path) != nil {
		t.Error(err)
	}
	path = write(t, map[string]string{"restoring/key": "key 1", "leases.db": "leases"})
	if err := restore(t, path, saved, passphrase); err == nil || !strings.Contains(hint.Of(err), "remove everything in "+path) {
		t.Errorf("%v, %s", err, hint.Of(err))
	}
}

// refused checks that a restore fails for a reason, and leaves nothing behind.
func refused(t testing.TB, what string, from []byte, passphrase, reason string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new")
	err := restore(t, path, from, passphrase)
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: %v, want %q", what, err, reason)
	}
	if got := list(t, path); got != nil {
		t.Errorf("%s: it left %v", what, got)
	}
}

// TestCutOff: wherever a backup was cut off, or changed, and with another passphrase, nothing of it is restored.
func TestCutOff(t *testing.T) {
	t.Parallel()
	saved := save(t, map[string]string{"key": "key 1", ".copy": "leases", "nodes": strings.Repeat("a node\n", 20000)})
	refused(t, "wrong passphrase", saved, passphrase+"!", "the passphrase is wrong")
	refused(t, "nothing", nil, passphrase, "not a backup")
	refused(t, "more", append(slices.Clone(saved), 0), passphrase, "damaged")
	step := 6007
	for n := 0; n < len(saved); n += step {
		refused(t, fmt.Sprintf("%d of %d bytes", n, len(saved)), saved[:n], passphrase, "")
		changed := slices.Clone(saved)
		changed[n] ^= 1
		refused(t, fmt.Sprintf("byte %d of %d", n, len(saved)), changed, passphrase, "")
	}
	refused(t, "last byte", saved[:len(saved)-1], passphrase, "")
	refused(t, "last chunk", saved[:len(saved)-len(saved)%(64<<10)], passphrase, "")
	refused(t, "in the second chunk", saved[:90<<10], passphrase, "damaged or was cut off")
}

// TestFailedRestore: if a file cannot be written, checked or moved, none is there.
func TestFailedRestore(t *testing.T) {
	t.Parallel()
	saved := save(t, example)
	refused(t, "check", save2(t, map[string]string{"key": "kez", "nodes": "n"}), passphrase, "no key")
	for name, change := range map[string]func(*Directory){
		"write": func(d *Directory) {
			d.Files[2].Put = func(*os.Root, string, io.Reader) error { return errors.New("no space left") }
		},
		"move": func(d *Directory) {
			d.Files[2].Put = func(root *os.Root, name string, from io.Reader) error { // somebody makes that meanwhile
				return errors.Join(copyTo(root, name, from), root.MkdirAll("leases.db/x", 0o700))
			}
		},
	} {
		path := filepath.Join(t.TempDir(), "new")
		d := directory(path)
		change(&d)
		if _, err := d.Restore(t.Context(), bytes.NewReader(saved), passphrase); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := list(t, path); len(got) > 0 {
			t.Errorf("%s: it left %v", name, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "new")
	if _, err := directory(path).Restore(ctx, bytes.NewReader(saved), passphrase); !errors.Is(err, context.Canceled) || list(t, path) != nil {
		t.Errorf("cancelled: %v", err)
	}
}

// save2 saves what cannot be used.
func save2(t testing.TB, files map[string]string) []byte {
	t.Helper()
	d := directory(write(t, files))
	d.Files[0].Check = nil
	d.Files = slices.Delete(d.Files, 2, 3)
	var b bytes.Buffer
	if err := d.Save(t.Context(), &b, passphrase, about); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestUselessBackup: what could not be restored is not saved.
func TestUselessBackup(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"no key":       {"key": "kez", ".copy": ""},
		"bytes, more":  {"key": "key", ".copy": "", "nodes": strings.Repeat("x", 1<<20+1)},
		"acme/big has": {"key": "key", ".copy": "", "acme/big": strings.Repeat("x", 1001)},
		"no such file": {"key": "key"},
		"key has 101":  {"key": "key" + strings.Repeat("x", 98), ".copy": ""},
		"nodes is not": {"key": "key", ".copy": "", "nodes/x": ""},
	} {
		err := directory(write(t, files)).Save(t.Context(), io.Discard, passphrase, about)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeysThatChange: a backup has keys that were there at one moment, though they are read one after the other.
func TestKeysThatChange(t *testing.T) {
	t.Parallel()
	path := write(t, map[string]string{"key": "0", "next_key": "0"})
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 1; ; i++ {
			for _, name := range []string{"key", "next_key"} {
				os.WriteFile(path+"/.new", fmt.Appendf(nil, "%d", i), 0o600)
				os.Rename(path+"/.new", filepath.Join(path, name))
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(i%7) * 300 * time.Microsecond):
			}
		}
	})
	defer changing.Wait()
	defer close(stop)
	for range 200 {
		got, err := directory(path).readTogether()
		if err != nil {
			if hint.Of(err) == "" {
				t.Fatal(err)
			}
			continue
		}
		now, _ := strconv.Atoi(string(got["key"]))
		if next, err := strconv.Atoi(string(got["next_key"])); err != nil || next > now || now > next+1 {
			t.Fatalf("%q", got)
		}
	}
}

// TestCreate: the whole file or none, for its owner alone, and in place of nothing.
func TestCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "backup")
	if err := Create(path, func(w io.Writer) error { io.WriteString(w, "half"); return errors.New("no more") }); err == nil || err.Error() != "no more" {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	if err := Create(path, hello); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 5 || info.Mode() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("%v, %v", info, err)
	}
	if err := Create(path, hello); err == nil || hint.Of(err) == "" {
		t.Errorf("it was replaced: %v", err)
	}
}
