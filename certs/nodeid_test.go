package certs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

const (
	bootstrapID  = "HZXXs9LTfNQjrDKvvexRhuMk8TTJhYCfrHwaj3jUzuhZ"
	bootstrapHex = "f610197a374dfc3801cb00ad1acda6f7a52bb8e0bff10a3e0db2aacdcea41ed8"
)

// hintOf returns what err tells a person to do, "" if nothing.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func mustParseID(t testing.TB, s string) NodeID {
	t.Helper()
	id, err := ParseNodeID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestParseNodeID(t *testing.T) {
	t.Parallel()
	raw, _ := hex.DecodeString(bootstrapHex)
	for _, s := range []string{bootstrapID, "0x" + bootstrapHex, "0x" + strings.ToUpper(bootstrapHex)} {
		id, err := ParseNodeID(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if !bytes.Equal(id[:], raw) {
			t.Errorf("%s: got %x, want %s", s, id[:], bootstrapHex)
		}
		if id.String() != bootstrapID {
			t.Errorf("%s: String %s, want %s", s, id, bootstrapID)
		}
	}
	// Leading zero bytes are ones in base58.
	low := NodeID{31: 1}
	if s := low.String(); s != strings.Repeat("1", 31)+"2" || mustParseID(t, s) != low {
		t.Errorf("id of value 1: %s", s)
	}
}

func TestParseNodeIDRefuses(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"empty":            "",
		"short":            bootstrapID[:42],
		"long":             bootstrapID + "1",
		"very long":        strings.Repeat("z", 1<<20),
		"33 bytes":         strings.Repeat("z", 44),
		"31 bytes":         strings.Repeat("z", 42),
		"not base58":       "0" + bootstrapID[1:],
		"not ASCII":        "é" + bootstrapID[2:],
		"space":            bootstrapID[:43] + " ",
		"hex without 0x":   bootstrapHex,
		"hex short":        "0x" + bootstrapHex[2:],
		"hex long":         "0x" + bootstrapHex + "00",
		"hex bad":          "0xg" + bootstrapHex[1:],
		"hex with 0X":      "0X" + bootstrapHex,
		"nobody":           strings.Repeat("1", 32),
		"nobody in hex":    "0x" + strings.Repeat("0", 64),
		"a private key":    seedKeyHex,
		"only the prefix ": "0x",
	} {
		id, err := ParseNodeID(s)
		if err == nil || !id.IsZero() {
			t.Errorf("%s: got %v, %v; want an error", name, id, err)
			continue
		}
		if len(s) > 8 && strings.Contains(err.Error(), s) {
			t.Errorf("%s: the error repeats the input: %v", name, err)
		}
		if hintOf(err) == "" {
			t.Errorf("%s: no hint in %v", name, err)
		}
	}
}

func TestNodeIDText(t *testing.T) {
	t.Parallel()
	id := mustParseID(t, bootstrapID)
	text, err := id.MarshalText()
	if err != nil || string(text) != bootstrapID {
		t.Fatalf("MarshalText: %s, %v", text, err)
	}
	var back NodeID
	if err := back.UnmarshalText(text); err != nil || back != id {
		t.Fatalf("UnmarshalText: %v, %v", back, err)
	}
	if err := back.UnmarshalText([]byte("nonsense")); err == nil || back != id {
		t.Errorf("UnmarshalText of nonsense: %v, id is now %v", err, back)
	}
	if id.IsZero() || !(NodeID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "node", id, "nobody", NodeID{})
	if got := log.String(); !strings.Contains(got, "node=HZXXs9LT… nobody=11111111…") {
		t.Errorf("log: %s", got)
	}
}

func FuzzParseNodeID(f *testing.F) {
	for _, s := range []string{"", bootstrapID, "0x" + bootstrapHex, strings.Repeat("1", 32), strings.Repeat("z", 44)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseNodeID(s)
		if err != nil {
			if !id.IsZero() {
				t.Fatalf("%q: an id with the error %v", s, err)
			}
			return
		}
		if back, err := ParseNodeID(id.String()); err != nil || back != id {
			t.Fatalf("%q: parsed again: %v, %v", s, back, err)
		}
		if !strings.HasPrefix(s, "0x") && id.String() != s {
			t.Fatalf("%q and %q are one id", s, id)
		}
	})
}
