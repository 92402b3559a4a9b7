package framing

import (
	"bytes"
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

var datagramKinds = map[string]DatagramKind{
	"payload": DatagramPayload, "first": DatagramFirst, "known": DatagramKnown, "unknown": DatagramUnknown,
}

// datagramOf is the datagram that a vector describes.
func datagramOf(t *testing.T, v vector) Datagram {
	t.Helper()
	kind, ok := datagramKinds[v.text(t, "kind")]
	if !ok {
		t.Fatalf("no kind %q", v["kind"])
	}
	d := Datagram{Flow: v.number(t, "flow"), Kind: kind, Payload: v.bytes(t, "payload")}
	if kind == DatagramFirst {
		d.Header = &FlowHeader{
			Service: v.text(t, "service"), ClientAddress: v.text(t, "client_address"),
			PublicAddress: v.text(t, "public_address"), IdleSeconds: uint32(v.number(t, "idle_seconds")),
		}
	}
	return d
}

func sameDatagram(a, b Datagram) bool {
	return a.Flow == b.Flow && a.Kind == b.Kind && bytes.Equal(a.Payload, b.Payload) && (a.Header == nil) == (b.Header == nil) && proto.Equal(a.Header, b.Header)
}

func TestDatagramVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "datagrams.txt") {
		name, datagram, want := v.text(t, "name"), v.bytes(t, "datagram"), datagramOf(t, v)
		got, err := ParseDatagram(datagram)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v["unusual"] == "yes" {
			if got.Header != nil {
				got.Header.ProtoReflect().SetUnknown(nil)
			}
		} else if encoded, err := AppendDatagram([]byte("x"), want); err != nil || !bytes.Equal(encoded, append([]byte("x"), datagram...)) {
			t.Errorf("%s: encoded as %x, %v", name, encoded, err)
		}
		if !sameDatagram(got, want) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestBadDatagramVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "bad-datagrams.txt") {
		if d, err := ParseDatagram(v.bytes(t, "datagram")); err == nil {
			t.Errorf("%s: accepted as %+v", v.text(t, "name"), d)
		}
	}
	long := bytes.Repeat([]byte{1}, MaxPayload+1)
	header := &FlowHeader{Service: "game", ClientAddress: "192.0.2.1:7"}
	for _, d := range []Datagram{
		{}, {Flow: MaxFlow + 1}, {Flow: 1, Kind: 4}, {Flow: 1, Payload: long}, {Flow: 1, Kind: DatagramFirst},
		{Flow: 1, Kind: DatagramFirst, Header: header, Payload: long}, {Flow: 1, Kind: DatagramKnown, Payload: []byte("x")},
		{Flow: 1, Kind: DatagramFirst, Header: &FlowHeader{Service: "game", ClientAddress: "home"}},
	} {
		if encoded, err := AppendDatagram(nil, d); err == nil {
			t.Errorf("flow %d, kind %d, %d bytes is encoded as %.20x", d.Flow, d.Kind, len(d.Payload), encoded)
		}
	}
}

// appendRecord appends the length of d and d to b, as on a stream of datagrams.
func appendRecord(b []byte, d Datagram) ([]byte, error) {
	datagram, err := AppendDatagram(nil, d)
	return protowire.AppendBytes(b, datagram), err
}

// TestDatagramRecords: datagrams of any size on a stream are read one by one, and nothing is read ahead.
func TestDatagramRecords(t *testing.T) {
	t.Parallel()
	header := &FlowHeader{Service: "dns", ClientAddress: "192.0.2.1:7", PublicAddress: "203.0.113.5:53", IdleSeconds: 60}
	want := []Datagram{
		{Flow: 1, Kind: DatagramFirst, Header: header, Payload: bytes.Repeat([]byte("a"), MaxPayload)},
		{Flow: MaxFlow, Payload: bytes.Repeat([]byte("b"), 4096)}, {Flow: 3, Kind: DatagramUnknown}, {Flow: 4},
	}
	var stream []byte
	for _, d := range want {
		var err error
		if stream, err = appendRecord(stream, d); err != nil {
			t.Fatal(err)
		}
	}
	r, buffer := bytes.NewReader(stream), make([]byte, 2048)
	for _, d := range want {
		if got, err := ReadDatagramRecord(r, buffer); err != nil || !sameDatagram(got, d) {
			t.Fatalf("flow %d: got flow %d with %d bytes, %v", d.Flow, got.Flow, len(got.Payload), err)
		}
	}
	if _, err := ReadDatagramRecord(r, buffer); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if _, err := ReadDatagramRecord(bytes.NewReader(stream[:100]), buffer); err != io.ErrUnexpectedEOF {
		t.Errorf("in a datagram: %v", err)
	}
	if _, err := ReadDatagramRecord(bytes.NewReader([]byte{0x80, 0x80, 0x08}), buffer); codeOf(err) != ErrorBadHeader {
		t.Errorf("a datagram of 128 KiB: %v", err)
	}
}

// FuzzDatagram: whatever is accepted says the same when it is encoded again, alone and on a stream.
func FuzzDatagram(f *testing.F) {
	for _, file := range []string{"datagrams.txt", "bad-datagrams.txt"} {
		for _, v := range readVectors(f, file) {
			f.Add(v.bytes(f, "datagram"))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := ReadDatagramRecord(bytes.NewReader(b), nil); err != nil {
			checkEnd(t, err)
		}
		d, err := ParseDatagram(b)
		if err != nil {
			return
		}
		encoded, err := AppendDatagram(nil, d)
		if err != nil {
			t.Fatalf("%+v cannot be encoded: %v", d, err)
		}
		if again, err := ParseDatagram(encoded); err != nil || !sameDatagram(d, again) {
			t.Fatalf("%+v became %+v, %v", d, again, err)
		}
		record, err := appendRecord(nil, d)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadDatagramRecord(bytes.NewReader(record), make([]byte, 16)); err != nil || !sameDatagram(d, again) {
			t.Fatalf("%+v became %+v on a stream, %v", d, again, err)
		}
	})
}
