package framing

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"testing"
)

func TestSuccessorVectors(t *testing.T) {
	t.Parallel()
	keys := readIdentities(t)
	good, bad := 0, 0
	for _, v := range readVectors(t, "successors.txt") {
		present := keys.public("server")
		announced := &Successor{Id: v.bytes(t, "id"), Signature: v.bytes(t, "signature")}
		next, err := OpenSuccessor(present, announced)
		if v["valid"] == "no" {
			if bad++; err == nil || next != [32]byte{} {
				t.Errorf("%v: %x, %v", v, next, err)
			}
			continue
		}
		good++
		if err != nil || !bytes.Equal(next[:], announced.Id) {
			t.Errorf("%v: %x, %v", v, next, err)
		}
		if got := hex.EncodeToString(successorBytes(present, announced.Id)); got != v.text(t, "signed") {
			t.Errorf("signed bytes %s", got)
		}
		sign := func(message []byte) []byte { return ed25519.Sign(keys.keys["server"], message) }
		if got := SignSuccessor(sign, present, announced.Id); !bytes.Equal(got.Signature, announced.Signature) {
			t.Errorf("signature %x", got.Signature)
		}
	}
	if good < 2 || bad < 8 {
		t.Errorf("%d good and %d bad vectors", good, bad)
	}
}

func FuzzOpenSuccessor(f *testing.F) {
	keys := readIdentities(f)
	for _, v := range readVectors(f, "successors.txt") {
		f.Add(v.bytes(f, "id"), v.bytes(f, "signature"))
	}
	present := keys.public("server")
	signed := map[string]bool{} // ids that the server of the vectors has signed
	for _, v := range readVectors(f, "successors.txt") {
		if v["valid"] != "no" {
			signed[string(v.bytes(f, "id"))] = true
		}
	}
	f.Fuzz(func(t *testing.T, id, signature []byte) {
		next, err := OpenSuccessor(present, &Successor{Id: id, Signature: signature})
		if err == nil && !signed[string(next[:])] {
			t.Fatalf("%x with %x passes", id, signature)
		}
	})
}
