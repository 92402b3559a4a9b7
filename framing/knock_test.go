package framing

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

// TestKnockVectors: the knocks of the specification are made and read as it says, and nothing else is one.
func TestKnockVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "knocks.txt") {
		id, datagram := v.bytes(t, "server"), v.bytes(t, "datagram")
		key := NewKnockKey([32]byte(id))
		got, ok := key.Open(datagram)
		if v["valid"] == "no" {
			if ok {
				t.Errorf("%x was accepted", datagram)
			}
			continue
		}
		if !bytes.Equal(key[:], v.bytes(t, "key")) {
			t.Errorf("key %x of %x", key, id)
		}
		want := Knock{Time: time.UnixMilli(int64(v.number(t, "time"))), Random: [16]byte(v.bytes(t, "random"))}
		if address := v.text(t, "address"); address != "" {
			want.Address = netip.MustParseAddrPort(address)
		}
		if !ok || got != want {
			t.Errorf("%x is %+v, %v; want %+v", datagram, got, ok, want)
		}
		if made := key.Append(nil, want); !bytes.Equal(made, datagram) {
			t.Errorf("%+v became %x, want %x", want, made, datagram)
		}
	}
}

// TestKnockEachBit: no bit of a knock can be changed.
func TestKnockEachBit(t *testing.T) {
	t.Parallel()
	key := NewKnockKey([32]byte{1})
	datagram := key.Append(nil, Knock{Time: time.UnixMilli(1), Random: [16]byte{2}})
	for bit := range len(datagram) * 8 {
		datagram[bit/8] ^= 1 << (bit % 8)
		if _, ok := key.Open(datagram); ok {
			t.Errorf("bit %d may be changed", bit)
		}
		datagram[bit/8] ^= 1 << (bit % 8)
	}
	if _, ok := NewKnockKey([32]byte{2}).Open(datagram); ok {
		t.Error("the knock of one server is good for another")
	}
	if datagram[0]&0xc0 != 0 {
		t.Error("a knock looks like QUIC")
	}
}

// FuzzKnock: a datagram that is accepted is made again byte for byte, but for the form of an IPv4 address.
func FuzzKnock(f *testing.F) {
	for _, v := range readVectors(f, "knocks.txt") {
		f.Add(v.bytes(f, "datagram"))
	}
	key := NewKnockKey([32]byte{1})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if _, ok := key.Open(datagram); ok && !IsKnock(datagram) {
			t.Fatal("no knock was accepted")
		}
		if len(datagram) != KnockSize {
			return
		}
		datagram[0] = knockType
		said := datagram[:KnockSize-knockTagSize]
		datagram = append(bytes.Clone(said), key.tag(said)...)
		knock, ok := key.Open(datagram)
		if !ok {
			t.Fatal("a right tag was refused")
		}
		again, ok := key.Open(key.Append(nil, knock))
		if !ok || again != knock {
			t.Fatalf("%+v became %+v", knock, again)
		}
	})
}
