package backup

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

// seal encrypts anything.
func seal(t testing.TB, plain []byte, work int) []byte {
	t.Helper()
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	recipient.SetWorkFactor(work)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, recipient)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// archive is what somebody who knows the passphrase makes; its first entry says that it is a backup.
func archive(t testing.TB, version int, headers ...tar.Header) []byte {
	t.Helper()
	about := about
	about.Version = version
	text, err := json.Marshal(about)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: aboutName, Size: int64(len(text)), Typeflag: tar.TypeReg})
	w.Write(text)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.CopyN(w, strings.NewReader("key"+strings.Repeat("x", 1<<10)), h.Size)
	}
	w.Flush()
	if len(headers) == 0 || headers[len(headers)-1].Size <= 1<<10 {
		w.Close()
	}
	return b.Bytes()
}

// TestHostileArchive: an archive can put nothing anywhere but the files that a backup has, each once and not too large.
func TestHostileArchive(t *testing.T) {
	t.Parallel()
	file := func(name string) tar.Header { return tar.Header{Name: name, Size: 3, Typeflag: tar.TypeReg} }
	for _, name := range []string{
		"../key", "/key", "/etc/passwd", "./key", "key/x", "acme/../key", "acme/../../key", "acme/a/b", "acme/.", "acme/..", "acme",
		"acme/.x", "leases.db", "peers", "control.sock", "restoring", "restoring/key", "acme/a\nb", "acme/A", `acme\a`, "acme/a:b", "KEY", "", "acme/" + strings.Repeat("a", 300), ".copy",
		aboutName,
	} {
		refused(t, name, seal(t, archive(t, version, file("key"), file(name)), 1), passphrase, "")
	}
	for _, kind := range []byte{tar.TypeSymlink, tar.TypeLink, tar.TypeDir, tar.TypeFifo, tar.TypeChar} {
		refused(t, string(kind), seal(t, archive(t, version, tar.Header{Name: "nodes", Linkname: "/etc/passwd", Typeflag: kind}), 1), passphrase, "not a file")
	}
	refused(t, "twice", seal(t, archive(t, version, file("key"), file("key")), 1), passphrase, "twice")
	refused(t, "twice in a folder", seal(t, archive(t, version, file("acme/a"), file("acme/a")), 1), passphrase, "twice")
	refused(t, "large", seal(t, archive(t, version, tar.Header{Name: "key", Size: 101, Typeflag: tar.TypeReg}), 1), passphrase, "101 bytes")
	refused(t, "huge", seal(t, archive(t, version, tar.Header{Name: "nodes", Size: 1 << 60, Typeflag: tar.TypeReg}), 1), passphrase, "bytes, more than")
	refused(t, "cut off inside", seal(t, archive(t, version, tar.Header{Name: "nodes", Size: 1 << 20, Typeflag: tar.TypeReg}), 1), passphrase, "cut off")
	refused(t, "version", seal(t, archive(t, version+1), 1), passphrase, "version 2")
	refused(t, "empty", seal(t, nil, 1), passphrase, "cut off")
	refused(t, "no tar", seal(t, bytes.Repeat([]byte("x"), 5000), 1), passphrase, "damaged")
	refused(t, "endless end", seal(t, append(archive(t, version, file("key")), make([]byte, 2*maxTrailer)...), 1), passphrase, "something follows")
	begin := archive(t, version)
	begin = begin[:len(begin)-1024] // without the blocks that end it
	one := archive(t, version, tar.Header{Name: "acme/a", Typeflag: tar.TypeReg})[len(begin):][:512]
	many := seal(t, append(begin, bytes.Repeat(one, maxEntries+1)...), 1)
	if err := read(t.Context(), bytes.NewReader(many), passphrase, func(About) error { return nil }, func(entry) error { return nil }); err == nil ||
		!strings.Contains(err.Error(), "more than 65536 files") {
		t.Errorf("many: %v", err)
	}
	// That it is complete is not for the archive to say: without a key the server makes another one.
	path := filepath.Join(t.TempDir(), "new")
	if err := restore(t, path, seal(t, archive(t, version, file("key"), file("acme/a")), 1), passphrase); err != nil {
		t.Error(err)
	}
}

// TestHostileFile: before the passphrase was checked a file costs little memory and work.
func TestHostileFile(t *testing.T) { // beside no other test, whose memory would count
	endless := func(begin, more string) io.Reader {
		return io.LimitReader(io.MultiReader(strings.NewReader(begin), repeat(more)), 1<<32)
	}
	line := "-> scrypt " + strings.Repeat("A", 22) + " 1\n" + strings.Repeat("A", 43) + "\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, from := range map[string]io.Reader{
		"zeros": endless("", "\x00"), "a line without end": endless(intro, "x"), "arguments": endless(intro, "A"), "stanzas": endless(intro+line[len("-> scrypt "):], line),
		"a body": endless(intro+"A 1\n", strings.Repeat("A", 64)+"\n"), "end without end": endless(intro+line[len("-> scrypt "):]+"--- ", "A"),
		"work":      bytes.NewReader(bytes.Replace(seal(t, nil, 10), []byte(" 10\n"), []byte(" 30\n"), 1)),
		"too much":  bytes.NewReader(bytes.Replace(seal(t, nil, 10), []byte(" 10\n"), fmt.Appendf(nil, " %d\n", maxWork+1), 1)),
		"recipient": strings.NewReader("age-encryption.org/v1\n-> X25519 " + strings.Repeat("A", 43) + "\n" + strings.Repeat("A", 43) + "\n--- " + strings.Repeat("A", 43) + "\n"),
		"fails":     io.MultiReader(strings.NewReader(intro), failing{}),
	} {
		err := read(t.Context(), from, passphrase, nil, nil)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		t.Logf("%s: %v", name, err)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16<<20 {
		t.Errorf("%d MiB were allocated", (after.TotalAlloc-before.TotalAlloc)>>20)
	}
}

// repeat reads as a text again and again.
type repeat string

func (r repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is broken") }

// FuzzRead: whatever somebody who knows the passphrase wrote, only files that a backup has are taken of it, each once
// and no more than it may have.
func FuzzRead(f *testing.F) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Size: 3, Typeflag: tar.TypeReg} }
	f.Add(archive(f, version))
	f.Add(archive(f, version, file("key"), file("leases"), file("nodes"), file("acme/a")))
	f.Add(archive(f, version, tar.Header{Name: "acme/a", Size: 3, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"APQUIC.x": "y"}}))
	f.Fuzz(func(t *testing.T, plain []byte) {
		s := &staged{Directory: directory(""), seen: make(map[string]bool)}
		taken := make(map[string]bool)
		err := read(t.Context(), bytes.NewReader(seal(t, plain, 1)), passphrase, s.begin, func(e entry) error {
			file, name, err := s.admit(e)
			if err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, e)
			known := slices.Contains([]string{"key", "next_key", "leases.db", "nodes"}, name) || strings.HasPrefix(name, "acme/") && filepath.IsLocal(name) && !strings.Contains(name[5:], "/")
			if !known || taken[name] || n > file.Max {
				t.Fatalf("%q has %d bytes", name, n)
			}
			taken[name] = true
			return err
		})
		if err == nil && s.about.Version != version {
			t.Fatalf("%+v", s.about)
		}
	})
}

// FuzzUnseal: nothing in a file of another origin does harm.
func FuzzUnseal(f *testing.F) {
	f.Add(seal(f, archive(f, version), 1))
	f.Add([]byte(intro))
	f.Fuzz(func(t *testing.T, file []byte) {
		if bytes.Contains(file[:min(len(file), maxIntro)], []byte(" 1")) && !bytes.Contains(file[:min(len(file), maxIntro)], []byte(" 1\n")) {
			t.Skip("work that the fuzzer need not do")
		}
		if err := read(t.Context(), bytes.NewReader(file), "another passphrase", nil, nil); err == nil {
			t.Fatal("it was read without its passphrase")
		}
	})
}
