package public

import (
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"apquic/certs"
	"apquic/internal/domain"
	"apquic/lease"
)

// TestOwnNameVectors: names are made as docs/protocol.md says, and are names.
func TestOwnNameVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../framing/testdata/vectors/own-names.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Domain: "tunnel.example.org"})
	vectors := regexp.MustCompile(`id = ([0-9a-f]{64})\nservice = "(.*)"\nlabel = "(.*)"\n`).FindAllStringSubmatch(string(text), -1)
	if len(vectors) < 10 || len(vectors) != strings.Count(string(text), "label = ") {
		t.Errorf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		id, _ := hex.DecodeString(v[1])
		want := ""
		if v[3] != "" {
			want = v[3] + ".tunnel.example.org"
		}
		got := s.NameOf(lease.Key{Node: certs.NodeID(id), Service: v[2]})
		if got != want || got != "" && domain.Check(got) != nil {
			t.Errorf("%s of %s: %q, want %q", v[2], v[1], got, want)
		}
	}
}

// TestOwn: which names are the server's own.
func TestOwn(t *testing.T) {
	t.Parallel()
	s := New(Config{Domain: "tunnel.example.org"})
	for name, want := range map[string]bool{
		"tunnel.example.org": true, "a.tunnel.example.org": true, "a.b.tunnel.example.org": true, "mytunnel.example.org": false, "example.org": false, "": false,
	} {
		if s.isOwn(name) != want || New(Config{}).isOwn(name) {
			t.Errorf("%q: want %v", name, want)
		}
	}
}
