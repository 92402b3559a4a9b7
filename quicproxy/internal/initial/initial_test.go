package initial

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"
)

// clientInitial is the packet of RFC 9001 appendix A.2: a ClientHello in one CRYPTO frame, and padding.
func clientInitial(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/rfc9001-a2.hex")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil || len(b) != minSize {
		t.Fatal(len(b), err)
	}
	return b
}

// handshakePacket is one with so many bytes behind its length.
func handshakePacket(size int) []byte {
	b := []byte{0xe0, 0, 0, 0, 1, 2, 't', 'o', 1, 'c', 0x40 | byte(size>>8), byte(size)}
	return append(b, make([]byte, size)...)
}

func TestParse(t *testing.T) {
	whole := clientInitial(t)
	changed := func(at int, to byte) []byte {
		b := slices.Clone(whole)
		b[at] = to
		return b
	}
	short := append([]byte{0x40}, make([]byte, 39)...)
	for _, test := range []struct {
		name             string
		datagram         []byte
		ok, initial      bool
		handshake, short int
	}{
		{"an Initial", whole, true, true, 0, 0},
		{"a Handshake packet", handshakePacket(50), true, false, 62, 0},
		{"two of them", slices.Concat(handshakePacket(50), handshakePacket(500)), true, false, 62 + 512, 0},
		{"an Initial, a Handshake packet, and a short header", slices.Concat(whole, handshakePacket(50), short), true, true, 62, 40},
		{"padding behind it", slices.Concat(handshakePacket(50), make([]byte, 100)), true, false, 62, 0},
		{"another version", changed(4, 2), false, false, 0, 0},
		{"without the fixed bit", changed(0, 0x80), false, false, 0, 0},
		{"0-RTT", changed(0, 0xd0), false, false, 0, 0},
		{"a Retry", changed(0, 0xf0), false, false, 0, 0},
		{"0-RTT behind it", slices.Concat(handshakePacket(50), changed(0, 0xd0)), false, false, 0, 0},
		{"a connection id of 21 bytes", changed(5, 21), false, false, 0, 0},
		{"a token that is not there", changed(15, 0x7f), false, false, 0, 0},
		{"cut", whole[:1199], false, false, 0, 0},
		{"cut in its header", whole[:6], false, false, 0, 0},
		{"only a short header", short, false, false, 0, 0},
		{"nothing", nil, false, false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, ok := Parse(test.datagram)
			if ok != test.ok || ok && (d.Initial != test.initial || d.Handshake != test.handshake || d.Short != test.short) {
				t.Errorf("%+v, %v", d, ok)
			}
		})
	}
}

// TestCryptoFrames uses the vector of the RFC, and packets that are made of it.
func TestCryptoFrames(t *testing.T) {
	whole := clientInitial(t)
	d, ok := Parse(whole)
	if !ok || string(d.To) != "\x83\x94\xc8\xf0\x3e\x51\x57\x08" || len(d.From) != 0 {
		t.Fatalf("%+v, %v", d, ok)
	}
	before := bytes.Clone(whole)
	if n, ok := d.CryptoFrames(); n != 1 || !ok || !bytes.Equal(whole, before) {
		t.Errorf("%d frames, %v", n, ok)
	}
	broken := bytes.Clone(whole)
	broken[len(broken)-1] ^= 1
	if d, ok := Parse(broken); ok {
		if n, ok := d.CryptoFrames(); ok {
			t.Errorf("a packet that was changed has %d frames", n)
		}
	}
	id := string(d.To)
	d.To = []byte("told by the server")
	if n, ok := d.CryptoFrames(); ok {
		t.Errorf("with the wrong connection id it has %d frames", n)
	}
	if n, ok := d.CryptoFrames("another", id); n != 1 || !ok {
		t.Errorf("with the client's first connection id it has %d frames, %v", n, ok)
	}
}

func TestCountCrypto(t *testing.T) {
	for _, test := range []struct {
		name    string
		payload string
		count   int
		ok      bool
	}{
		{"nothing", "", 0, true},
		{"padding and a ping", "\x00\x00\x01\x00", 0, true},
		{"two of one byte", "\x06\x00\x01a\x06\x01\x01b", 2, true},
		{"an empty one", "\x06\x00\x00", 1, true},
		{"an acknowledgement of two ranges before it", "\x02\x09\x00\x01\x01\x02\x03\x06\x00\x01a", 1, true},
		{"one with ECN", "\x03\x09\x00\x00\x01\x01\x02\x03\x06\x00\x01a", 1, true},
		{"the end of the connection", "\x1c\x01\x06\x02no", 0, true},
		{"cut", "\x06\x00\x02a", 0, false},
		{"an offset that is cut", "\x06\x40", 0, false},
		{"ranges without end", "\x02\x09\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0, false},
		{"a stream", "\x0a\x00\x01a", 0, false},
		{"the end, by the application", "\x1d\x01\x00", 0, false},
	} {
		if n, ok := countCrypto([]byte(test.payload)); ok != test.ok || ok && n != test.count {
			t.Errorf("%s: %d, %v", test.name, n, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(clientInitial(f))
	f.Add(slices.Concat(handshakePacket(50), handshakePacket(500)))
	f.Add(handshakePacket(2))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		before := bytes.Clone(datagram)
		d, ok := Parse(datagram)
		if ok && d.Handshake+d.Short > len(datagram) {
			t.Errorf("%d + %d bytes of %d", d.Handshake, d.Short, len(datagram))
		}
		if n, ok := d.CryptoFrames("id"); ok && n > len(datagram) || !bytes.Equal(datagram, before) {
			t.Errorf("%d frames in %d bytes, or they were changed", n, len(datagram))
		}
		Begins(datagram)
		ConnectionIDs(datagram)
	})
}

func FuzzCountCrypto(f *testing.F) {
	f.Add([]byte("\x02\x09\x00\x01\x01\x02\x03\x06\x00\x01a"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if n, ok := countCrypto(payload); ok && 3*n > len(payload) {
			t.Errorf("%d frames in %d bytes", n, len(payload))
		}
	})
}

// BenchmarkCryptoFrames is what an Initial costs before QUIC has it.
func BenchmarkCryptoFrames(b *testing.B) {
	d, _ := Parse(clientInitial(b))
	b.ReportAllocs()
	for b.Loop() {
		if n, ok := d.CryptoFrames(); n != 1 || !ok {
			b.Fatal(n, ok)
		}
	}
}
