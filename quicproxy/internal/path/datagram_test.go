package path

import (
	"encoding/hex"
	"slices"
	"testing"
)

// TestProbe: the datagram is that of the specification, and nothing else is taken for one.
func TestProbe(t *testing.T) {
	t.Parallel()
	probe := Probe{ProbeToken{0xa0, 0xa1, 15: 0xaf}, 0x01020304}
	datagram := probe.Datagram()
	if got, want := hex.EncodeToString(datagram), "3f6170717569632f312070726f6265"+"a0a100000000000000000000000000af"+"01020304"; got != want {
		t.Errorf("the datagram is %s, want %s", got, want)
	}
	if got, ok := ParseProbe(datagram); !ok || got != probe {
		t.Errorf("it is read as %+v, %v", got, ok)
	}
	for name, other := range map[string][]byte{
		"nothing": nil, "too short": datagram[:probeSize-1], "too long": append(slices.Clone(datagram), 0),
		"another version": append([]byte("\x3fapquic/2 probe"), datagram[len(probeText):]...),
		"a wake":          []byte(WakeDatagram), "only the text": []byte(probeText),
	} {
		if got, ok := ParseProbe(other); ok || got != (Probe{}) {
			t.Errorf("%s is read as %+v, %v", name, got, ok)
		}
	}
}

// TestNotQUIC: quic-go takes none of our datagrams for a packet (RFC 9000 section 17.2: the fixed bit).
func TestNotQUIC(t *testing.T) {
	t.Parallel()
	for _, datagram := range [][]byte{[]byte(WakeDatagram), Probe{}.Datagram()} {
		if datagram[0]&0xc0 != 0 {
			t.Errorf("%q begins as a packet", datagram)
		}
	}
}

// FuzzParseProbe: what is accepted has one spelling.
func FuzzParseProbe(f *testing.F) {
	f.Add(Probe{ProbeToken{1, 2, 3}, 4}.Datagram())
	f.Add([]byte(WakeDatagram))
	f.Add([]byte(probeText))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		probe, ok := ParseProbe(datagram)
		if ok && string(probe.Datagram()) != string(datagram) {
			t.Errorf("%x is %+v", datagram, probe)
		}
	})
}
