package framing

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// decoder is one kind of header that stripes have.
type decoder struct {
	read   func(io.Reader) (proto.Message, error)
	append func([]byte, proto.Message) ([]byte, error)
}

var stripeDecoders = map[string]decoder{
	"stripe-headers.txt": {
		func(r io.Reader) (proto.Message, error) { return ReadStripeHeader(r) },
		func(b []byte, m proto.Message) ([]byte, error) { return AppendStripeHeader(b, m.(*StripeHeader)) },
	},
	"record-headers.txt": {
		func(r io.Reader) (proto.Message, error) { return ReadRecordHeader(r) },
		func(b []byte, m proto.Message) ([]byte, error) { return AppendRecordHeader(b, m.(*RecordHeader)) },
	},
}

func TestStripeVectors(t *testing.T) {
	t.Parallel()
	for file, d := range stripeDecoders {
		for _, v := range readVectors(t, file) {
			name, header, payload := v.text(t, "name"), v.bytes(t, "header"), v.bytes(t, "payload")
			var want proto.Message
			if v["relay"] != "" {
				want = &StripeHeader{Relay: v.number(t, "relay"), Attempt: v.number(t, "attempt")}
			} else {
				want = &RecordHeader{Offset: v.number(t, "offset"), Length: uint32(v.number(t, "length")), End: v.number(t, "end") == 1}
			}
			stream := bytes.NewReader(append(bytes.Clone(header), payload...))
			got, err := d.read(stream)
			if err != nil {
				t.Errorf("%s: %s: %v", file, name, err)
				continue
			}
			if rest, _ := io.ReadAll(stream); !bytes.Equal(rest, payload) {
				t.Errorf("%s: %s: %q is left behind the header, want %q", file, name, rest, payload)
			}
			if v["unusual"] == "yes" {
				got.ProtoReflect().SetUnknown(nil)
			} else if frame, err := d.append(payload, got); err != nil || !bytes.Equal(frame, append(bytes.Clone(payload), header...)) {
				t.Errorf("%s: %s: encoded as %x, %v", file, name, frame, err)
			}
			if !proto.Equal(got, want) {
				t.Errorf("%s: %s: got %v", file, name, got)
			}
		}
	}
}

func TestBadStripeVectors(t *testing.T) {
	t.Parallel()
	for file, d := range stripeDecoders {
		for _, v := range readVectors(t, "bad-"+file) {
			name := v.text(t, "name")
			m, err := d.read(bytes.NewReader(v.bytes(t, "stream")))
			if err == nil {
				t.Errorf("%s: %s: accepted as %v", file, name, m)
			} else if cut := strings.HasPrefix(name, "the stream ends"); cut != errors.Is(err, io.ErrUnexpectedEOF) || !cut && codeOf(err) != ErrorBadHeader {
				t.Errorf("%s: %s: %v", file, name, err)
			}
		}
	}
	if _, err := ReadRecordHeader(bytes.NewReader(nil)); err != io.EOF {
		t.Errorf("a stripe that ends behind a record: %v", err)
	}
	for _, h := range []*RecordHeader{nil, {Offset: 1}, {Length: MaxRecordSize + 1}, {Offset: MaxOffset, End: true}} {
		if frame, err := AppendRecordHeader(nil, h); err == nil {
			t.Errorf("%v is encoded as %x", h, frame)
		}
	}
	for _, h := range []*StripeHeader{nil, {Relay: 1}, {Attempt: 1}} {
		if frame, err := AppendStripeHeader(nil, h); err == nil {
			t.Errorf("%v is encoded as %x", h, frame)
		}
	}
}

// FuzzReadStripe reads a stripe: its header, and then records, each as FuzzReadStreamHeader does.
func FuzzReadStripe(f *testing.F) {
	for file := range stripeDecoders {
		for _, v := range append(readVectors(f, file), readVectors(f, "bad-"+file)...) {
			seed := append(v.bytes(f, map[bool]string{true: "header", false: "stream"}[v["header"] != ""]), "payload"...)
			f.Add(seed)
			f.Add(append([]byte{4, 8, 7, 16, 1}, seed...))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		next := "stripe-headers.txt"
		for {
			before := r.Len()
			d := stripeDecoders[next]
			m, err := d.read(r)
			if read := before - r.Len(); read > 10+MaxStripeSize {
				t.Fatalf("%d bytes read", read)
			}
			if err != nil {
				if err != io.EOF || before > 0 {
					checkEnd(t, err)
				}
				return
			}
			frame, err := d.append(nil, m)
			if err != nil {
				t.Fatalf("%v cannot be encoded: %v", m, err)
			}
			if again, err := d.read(bytes.NewReader(frame)); err != nil || !proto.Equal(m, again) {
				t.Fatalf("%v became %v, %v", m, again, err)
			}
			if h, ok := m.(*RecordHeader); ok {
				io.CopyN(io.Discard, r, int64(h.Length))
			}
			next = "record-headers.txt"
		}
	})
}
