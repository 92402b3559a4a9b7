package certs

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const (
	// The private key of the Active Proxy guide, and its id.
	seedKeyHex = "d7f3d9cbd61a65c06d2f81986403214ba563a18042c1615d84dd01ef53e09e32825ed1d126c05b7d2a65845f9686d39fa72a7b2be8b83b3f181c88c6e44bbac5"
	seedKeyID  = "9murrqRxsyVyfCFiF5KQe5x4jt7yVjU6c26D5K4QZjvC"
)

func newKey(t testing.TB) PrivateKey {
	t.Helper()
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// hexOf returns the 128 digits of a key.
func hexOf(key PrivateKey) string { return hex.EncodeToString(key.key()) }

func TestParsePrivateKey(t *testing.T) {
	t.Parallel()
	// RFC 8032 section 7.1, test 2.
	const seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
	const public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	const signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
	for _, s := range []string{seed, "0x" + seed, seed + public, "0x" + seed + public, strings.ToUpper(seed + public)} {
		key, err := ParsePrivateKey(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if id := key.ID(); hex.EncodeToString(id[:]) != public {
			t.Errorf("%s: id %x, want %s", s, id[:], public)
		}
		if got := hex.EncodeToString(key.Sign([]byte{0x72})); got != signature {
			t.Errorf("%s: signature %s, want %s", s, got, signature)
		}
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	t.Parallel()
	good, other := hexOf(newKey(t)), hexOf(newKey(t))
	for name, s := range map[string]string{
		"empty":         "",
		"short":         good[:63],
		"between":       good[:100],
		"long":          good + "00",
		"very long":     strings.Repeat("a", 1<<20),
		"not hex":       "x" + good[1:],
		"other half":    good[:64] + other[64:],
		"halves turned": good[64:] + good[:64],
		"twice 0x":      "0x0x" + good,
		"space":         good[:63] + " ",
	} {
		key, err := ParsePrivateKey(s)
		if err == nil || !key.IsZero() {
			t.Errorf("%s: got %v, %v; want an error", name, key, err)
		} else if strings.Contains(err.Error(), good[:8]) || strings.Contains(err.Error(), good[64:72]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	for _, s := range []string{seedKeyHex, "0x" + seedKeyHex, seedKeyHex[:64]} {
		key, err := ParsePrivateKey(s)
		published, ok := errors.AsType[*PublishedKeyError](err)
		if !ok || !key.IsZero() {
			t.Fatalf("got %v, %v; want a PublishedKeyError", key, err)
		}
		if published.ID.String() != seedKeyID {
			t.Errorf("id %v, want %s", published.ID, seedKeyID)
		}
		if !strings.Contains(err.Error(), "Active Proxy guide") || hintOf(err) == "" {
			t.Errorf("it does not say where or what to do: %v", err)
		}
		if strings.Contains(err.Error(), seedKeyHex[:8]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	for _, s := range []string{seedKeyID, "B1QriHBeGZyrynG9LyBy3ENiXmWR8TSKNEDXYMNDh7wb",
		"F2sMTUB7vq4jAoeHceGWfwfvyqNEUbrhCwHCCnbo4imW", "216BBq15LQrzs6jFrWdVFnCD2tJRYmzPEs4LdvfmMUiN"} {
		if _, ok := errors.AsType[*PublishedKeyError](checkPublished(mustParseID(t, s))); !ok {
			t.Errorf("%s is not refused", s)
		}
	}
	if err := checkPublished(newKey(t).ID()); err != nil {
		t.Errorf("a fresh key: %v", err)
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	id := key.ID()
	if key.IsZero() || id.IsZero() || id == newKey(t).ID() {
		t.Fatal("not a fresh key")
	}
	if !ed25519.Verify(id[:], []byte("message"), key.Sign([]byte("message"))) {
		t.Error("the signature does not verify under the id")
	}
	back, err := ParsePrivateKey(hexOf(key))
	if err != nil || hexOf(back) != hexOf(key) {
		t.Errorf("parsed again: %v, %v", back, err)
	}
}

func TestPrivateKeyNeverShows(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	want := "[private key of " + key.ID().String() + "]"
	type box struct {
		Name string
		key  PrivateKey // unexported: package fmt does not ask it for its text
	}
	texts := []string{fmt.Sprintf("%p", key)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%o", "%b", "%c"} {
		if got := fmt.Sprintf(verb, key); got != want {
			t.Errorf("%s: %s, want %s", verb, got, want)
		}
		texts = append(texts, fmt.Sprintf(verb, &key), fmt.Sprintf(verb, []PrivateKey{key}),
			fmt.Sprintf(verb, box{"b", key}), fmt.Sprintf(verb, &box{"b", key}), fmt.Sprintf(verb, map[string]box{"b": {key: key}}))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "box", box{"b", key})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key, "box", box{"b", key})
	marshalled, err := json.Marshal(map[string]any{"key": key})
	if err != nil || string(marshalled) != `{"key":"`+want+`"}` {
		t.Errorf("JSON: %s, %v", marshalled, err)
	}
	if key.String() != want || key.GoString() != want || key.LogValue().String() != want {
		t.Errorf("%s, %s, %s; want %s", key.String(), key.GoString(), key.LogValue(), want)
	}
	texts = append(texts, log.String())
	digits, decimal := hexOf(key)[:8], strings.Trim(fmt.Sprint(key.key()[:4]), "[]")
	octal := strings.Trim(fmt.Sprintf("%o", key.key()[:4]), "[]")
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), digits) || strings.Contains(text, decimal) || strings.Contains(text, octal) {
			t.Errorf("the key shows: %s", text)
		}
	}
}

func TestNoPrivateKey(t *testing.T) {
	t.Parallel()
	var key PrivateKey
	if !key.IsZero() || !key.ID().IsZero() || fmt.Sprint(key) != "[no private key]" {
		t.Errorf("got %v, id %v", key, key.ID())
	}
	defer func() {
		if recover() == nil {
			t.Error("no key signs")
		}
	}()
	key.Sign(nil)
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, s := range []string{"", "0x", seedKeyHex, seedKeyHex[:64], strings.Repeat("1", 64), strings.Repeat("0", 128)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := ParsePrivateKey(s)
		if err != nil {
			return
		}
		if id := key.ID(); !ed25519.Verify(id[:], []byte(s), key.Sign([]byte(s))) {
			t.Fatalf("%q: the signature does not verify under the id", s)
		}
		if !strings.HasPrefix(hexOf(key), strings.ToLower(strings.TrimPrefix(s, "0x"))) {
			t.Fatalf("%q gives another key", s)
		}
	})
}
