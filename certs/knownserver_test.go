package certs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKnownServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "server")
	if _, err := LoadKnownServer(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before there is a file: %v", err)
	}
	first, second, third := NodeID{1}, NodeID{2}, NodeID{3}
	known := KnownServer{Invitation: Invitation{Server: first, Host: "2001:db8::5", Port: 8090}}
	save := func() {
		t.Helper()
		if err := known.Save(path); err != nil {
			t.Fatal(err)
		}
		got, err := LoadKnownServer(path)
		if err != nil || !got.Equal(known) {
			t.Fatalf("saved %+v, loaded %+v, %v", known, got, err)
		}
		known = got
	}
	save()
	if known.Spent([]byte("secret")) || !known.Spent(nil) {
		t.Error("a secret is spent that was never there, or none is not")
	}
	known.Spend([]byte("secret"))
	known.Spend(nil) // admitted again, without one
	save()
	if !known.Spent([]byte("secret")) || known.Spent([]byte("another")) {
		t.Error("the wrong secret is spent")
	}
	for _, step := range []struct{ now, next NodeID }{{first, second}, {first, NodeID{}}, {first, second}, {second, third}, {third, NodeID{}}} {
		if err := known.Follow(step.now, step.next); err != nil {
			t.Fatalf("%v: %v", step, err)
		}
		save()
	}
	if _, wrong := errors.AsType[*WrongServerError](known.Follow(second, first)); !wrong || !known.Next.IsZero() {
		t.Errorf("a former key is followed: %+v", known)
	}
	if !known.Is(first) || !known.Is(second) || !known.Is(third) || known.Is(NodeID{4}) || known.Is(NodeID{}) {
		t.Errorf("the ids of %+v", known)
	}
	for i := range byte(100) {
		known.Next = NodeID{9, i}
		if err := known.Follow(NodeID{9, i}, NodeID{}); err != nil {
			t.Fatal(err)
		}
	}
	save()
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "secret") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestKnownServerNextIsNobody: the zero id is not a server to follow to.
func TestKnownServerNextIsNobody(t *testing.T) {
	t.Parallel()
	known := KnownServer{Invitation: Invitation{Server: NodeID{1}, Host: "h", Port: 1}}
	if err := known.Follow(NodeID{}, NodeID{2}); err == nil || known.Invitation.Server != (NodeID{1}) {
		t.Errorf("%+v, %v", known, err)
	}
}

func TestLoadKnownServerRefuses(t *testing.T) {
	t.Parallel()
	const public = `"server":"apquic://` + bootstrapID + `@h:1`
	path := filepath.Join(t.TempDir(), "server")
	for _, text := range []string{
		"", "{", "{}", "[]", "null", `{"server":""}`, `{"server":"http://x"}`, "{" + public + `"} {}`,
		"{" + public + "#" + encodeJoinSecret(mustParseID(t, bootstrapID), []byte("secret")) + `"}`,
		"{" + public + `","next":"x"}`, "{" + public + `","before":["x"]}`,
		"{" + public + `","before":["` + strings.Repeat(bootstrapID+`","`, maxBefore) + bootstrapID + `"]}`,
		"{" + public + `","spent":"` + strings.Repeat("0", maxPrivateFile) + `"}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if known, err := LoadKnownServer(path); err == nil || hintOf(err) == "" || !known.Equal(KnownServer{}) {
			t.Errorf("%s: %+v, %v", text, known, err)
		}
	}
	if err := os.WriteFile(path, []byte("{"+public+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKnownServer(path); err == nil {
		t.Error("a file that others may read is taken")
	}
}

func FuzzParseKnownServer(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"server":"apquic://` + bootstrapID + `@h:1"}`,
		`{"server":"apquic://` + bootstrapID + `@h:1","next":"` + bootstrapID + `","before":["` + bootstrapID + `"],"spent":"00"}`,
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "server")
	f.Fuzz(func(t *testing.T, text []byte) {
		known, err := parseKnownServer(text)
		if err != nil {
			return
		}
		if known.Invitation.Server.IsZero() || known.Invitation.Host == "" || len(known.Invitation.Secret) > 0 || len(known.Before) > maxBefore {
			t.Fatalf("%s: %+v", text, known)
		}
		if len(text) > maxPrivateFile/2 {
			return // it would not be read
		}
		if err := known.Save(path); err != nil {
			t.Fatal(err)
		}
		if again, err := LoadKnownServer(path); err != nil || !again.Equal(known) {
			t.Fatalf("%s: saved %+v, loaded %+v, %v", text, known, again, err)
		}
	})
}
