package framing

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"testing"
)

// TestExporterVectors computes the exporter as docs/protocol.md section 4 writes it out, for libraries
// without one.
func TestExporterVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "exporters.txt") {
		newHash := map[string]func() hash.Hash{"SHA-256": sha256.New, "SHA-384": sha512.New384}[v.text(t, "hash")]
		nothing := newHash().Sum(nil)
		derived := expandLabel(t, newHash, v.bytes(t, "exporter_master_secret"), ExporterLabel, nothing, len(nothing))
		if !bytes.Equal(derived, v.bytes(t, "derived")) {
			t.Errorf("%s: derived %x", v.text(t, "name"), derived)
		}
		if got := expandLabel(t, newHash, derived, "exporter", nothing, 32); !bytes.Equal(got, v.bytes(t, "exporter")) {
			t.Errorf("%s: %x", v.text(t, "name"), got)
		}
	}
}

// expandLabel is HKDF-Expand-Label of RFC 8446 section 7.1.
func expandLabel(t *testing.T, newHash func() hash.Hash, secret []byte, label string, context []byte, length int) []byte {
	t.Helper()
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 "+label)))
	info = append(info, "tls13 "+label...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	key, err := hkdf.Expand(newHash, secret, string(info), length)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
