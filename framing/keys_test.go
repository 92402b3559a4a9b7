package framing

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/mr-tron/base58"
)

func TestKeyVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "keys.txt") {
		name := v.text(t, "name")
		if name == "connection" {
			continue
		}
		public := ed25519.NewKeyFromSeed(v.bytes(t, "seed")).Public().(ed25519.PublicKey)
		if got := hex.EncodeToString(public); got != v.text(t, "public") {
			t.Errorf("%s: public key %s", name, got)
		}
		if got := base58.Encode(public); got != v.text(t, "id") {
			t.Errorf("%s: id %s", name, got)
		}
		certificate, err := x509.ParseCertificate(v.bytes(t, "certificate"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if key, ok := certificate.PublicKey.(ed25519.PublicKey); !ok || !key.Equal(public) {
			t.Errorf("%s: a certificate of another key", name)
		}
		err = certificate.CheckSignature(x509.PureEd25519, certificate.RawTBSCertificate, certificate.Signature)
		if err != nil {
			t.Errorf("%s: not signed by itself: %v", name, err)
		}
	}
}

func TestNodeIDVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "node-ids.txt") {
		text := v.text(t, "base58")
		id, err := base58.Decode(text)
		valid := err == nil && len(id) == ed25519.PublicKeySize && len(text) <= 44 && [32]byte(id) != [32]byte{}
		if want := v["valid"] != "no"; valid != want {
			t.Errorf("%q: valid %t, want %t", text, valid, want)
		} else if valid && hex.EncodeToString(id) != v.text(t, "id") {
			t.Errorf("%q: %x", text, id)
		}
	}
}
