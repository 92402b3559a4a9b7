package public

import (
	"encoding/hex"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"apquic/certs"
	"apquic/internal/domain"
	"apquic/lease"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/server/internal/termination"
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

// TestEvictedTLS: a client that has to make room does so also where its TLS was ended, before that or after it.
func TestEvictedTLS(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		near, far := termination.Pipe(new(net.TCPAddr), new(net.TCPAddr))
		client, inner := &Client{Conn: far}, &Client{Conn: far}
		if before {
			client.evict()
		}
		client.goesOnAs(inner)
		if !before {
			client.evict()
		}
		if !inner.evicted.Load() {
			t.Errorf("evicted before it was ended: %v; its relay goes on", before)
		}
		near.Close()
	}
}

// wants counts what is wanted. The lease ends before it is.
type wants struct {
	termination.Terminator
	end    func()
	wanted int
}

func (w *wants) Forget(string, string) { w.wanted = 0 }
func (w *wants) Want(string, string)   { w.end(); w.wanted++ }

// TestLeaseEndsBeforeWant: nothing is wanted for a lease that ended while its node asked for it.
func TestLeaseEndsBeforeWant(t *testing.T) {
	t.Parallel()
	w := new(wants)
	s := New(Config{Terminator: w, Clients: clients.New(10, 10, 10)})
	l := lease.Lease{Key: lease.Key{Service: "web"}, Domain: "www.example.org"}
	if err := s.Bind(l); err != nil {
		t.Fatal(err)
	}
	w.end = func() { s.Unbind(l) }
	s.At(l.Endpoint()).Offer(termination.EndsHTTP)
	if w.wanted > 0 {
		t.Error("a domain that nobody has is wanted")
	}
}
