package framing

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const vectorDir = "testdata/vectors"

// vector is one block of a vector file: docs/protocol.md section 12 says how to read it.
type vector map[string]string

func readVectors(t testing.TB, file string) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorDir, file))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	for block := range strings.SplitSeq(string(text), "\n\n") {
		v := vector{}
		for line := range strings.Lines(block) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			key, value, ok := strings.Cut(line, " =")
			if _, twice := v[key]; !ok || twice {
				t.Fatalf("%s: bad line %q", file, line)
			}
			v[key] = strings.TrimPrefix(value, " ")
		}
		if len(v) > 0 {
			vectors = append(vectors, v)
		}
	}
	if len(vectors) == 0 {
		t.Fatalf("%s: no vectors", file)
	}
	return vectors
}

func (v vector) text(t testing.TB, key string) string {
	t.Helper()
	value, ok := v[key]
	if !ok {
		t.Fatalf("no %s in %v", key, v)
	}
	if strings.HasPrefix(value, `"`) {
		if err := json.Unmarshal([]byte(value), &value); err != nil {
			t.Fatalf("%s = %s: %v", key, v[key], err)
		}
	}
	return value
}

func (v vector) bytes(t testing.TB, key string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.text(t, key))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return b
}

func (v vector) number(t testing.TB, key string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(v.text(t, key), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// identities are the keys of the vectors by name, and their connection.
type identities struct {
	keys     map[string]ed25519.PrivateKey
	exporter [32]byte
}

func readIdentities(t testing.TB) identities {
	t.Helper()
	all := identities{keys: make(map[string]ed25519.PrivateKey)}
	for _, v := range readVectors(t, "keys.txt") {
		if name := v.text(t, "name"); name == "connection" {
			all.exporter = [32]byte(v.bytes(t, "exporter"))
		} else {
			all.keys[name] = ed25519.NewKeyFromSeed(v.bytes(t, "seed"))
		}
	}
	return all
}

func (i identities) public(name string) ed25519.PublicKey {
	return i.keys[name].Public().(ed25519.PublicKey)
}

func (i identities) binding(netID uint32) Binding {
	return Binding{Exporter: i.exporter, NetID: netID}
}

func (i identities) sealer(name string, netID uint32) *Sealer {
	key := i.keys[name]
	sign := func(message []byte) []byte { return ed25519.Sign(key, message) }
	return NewSealer(sign, i.public(name), roleOf(name), i.binding(netID))
}

func (i identities) opener(name string, netID uint32) *Opener {
	return NewOpener(i.public(name), roleOf(name), i.binding(netID))
}

func roleOf(name string) Role {
	if name == "server" {
		return RoleServer
	}
	return RoleNode
}
