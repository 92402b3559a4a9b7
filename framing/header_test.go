package framing

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestStreamHeaderVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "stream-headers.txt") {
		name, header, payload := v.text(t, "name"), v.bytes(t, "header"), v.bytes(t, "payload")
		stream := bytes.NewReader(append(bytes.Clone(header), payload...))
		h, err := ReadStreamHeader(stream)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		numbers := v["relay"] == "" || h.Relay == v.number(t, "relay") && h.Attempt == v.number(t, "attempt") && h.Received == v.number(t, "received")
		if h.Tls != (v["tls"] == "1") {
			t.Errorf("%s: tls is %v", name, h.Tls)
		}
		if h.TlsEnded != (v["tls_ended"] == "1") {
			t.Errorf("%s: tls_ended is %v", name, h.TlsEnded)
		}
		if h.Canary != (v["canary"] == "1") {
			t.Errorf("%s: canary is %v", name, h.Canary)
		}
		if v["node_name"] != "" && h.NodeName != v.text(t, "node_name") || v["connect"] != "" && h.Connect != v.number(t, "connect") {
			t.Errorf("%s: connect %d by %q", name, h.Connect, h.NodeName)
		}
		if !numbers || h.Service != v.text(t, "service") || h.ClientAddress != v.text(t, "client_address") || h.PublicAddress != v.text(t, "public_address") {
			t.Errorf("%s: got %v", name, h)
		}
		if rest, _ := io.ReadAll(stream); !bytes.Equal(rest, payload) {
			t.Errorf("%s: %q is left behind the header, want %q", name, rest, payload)
		}
		if v["unusual"] == "yes" {
			continue
		}
		if frame, err := AppendStreamHeader(payload, h); err != nil || !bytes.Equal(frame, append(bytes.Clone(payload), header...)) {
			t.Errorf("%s: encoded as %x, %v", name, frame, err)
		}
	}
}

func TestBadStreamHeaderVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "bad-stream-headers.txt") {
		name, stream := v.text(t, "name"), v.bytes(t, "stream")
		if v.text(t, "error") != "BadHeader" {
			t.Errorf("%s: a bad header is BadHeader", name)
		}
		h, err := ReadStreamHeader(bytes.NewReader(stream))
		if err == nil {
			t.Errorf("%s: accepted as %v", name, h)
			continue
		}
		if cut := strings.HasPrefix(name, "the stream ends"); cut != errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		} else if !cut && codeOf(err) != ErrorBadHeader {
			t.Errorf("%s: %v has the code %v", name, err, codeOf(err))
		}
	}
}

func TestStreamAnswerVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "stream-answers.txt") {
		name, answer, payload := v.text(t, "name"), v.bytes(t, "answer"), v.bytes(t, "payload")
		stream := bytes.NewReader(append(bytes.Clone(answer), payload...))
		a, err := ReadStreamAnswer(stream)
		if err != nil || a.Received != v.number(t, "received") {
			t.Errorf("%s: got %v, %v", name, a, err)
			continue
		}
		if rest, _ := io.ReadAll(stream); !bytes.Equal(rest, payload) {
			t.Errorf("%s: %q is left behind the answer, want %q", name, rest, payload)
		}
		if v["unusual"] == "yes" {
			continue
		}
		if frame, err := AppendStreamAnswer(payload, a); err != nil || !bytes.Equal(frame, append(bytes.Clone(payload), answer...)) {
			t.Errorf("%s: encoded as %x, %v", name, frame, err)
		}
	}
}

func TestBadStreamAnswerVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "bad-stream-answers.txt") {
		name, stream := v.text(t, "name"), v.bytes(t, "stream")
		a, err := ReadStreamAnswer(bytes.NewReader(stream))
		if err == nil {
			t.Errorf("%s: accepted as %v", name, a)
		} else if cut := strings.HasPrefix(name, "the stream ends"); cut != errors.Is(err, io.ErrUnexpectedEOF) || !cut && codeOf(err) != ErrorBadHeader {
			t.Errorf("%s: %v", name, err)
		}
	}
	if frame, err := AppendStreamAnswer(nil, &StreamAnswer{Received: MaxOffset + 1}); err == nil {
		t.Errorf("a number of 64 bits is encoded as %x", frame)
	}
}

// TestReadStreamHeaderInPieces: the stream may hand out as little as it likes, and data with io.EOF.
func TestReadStreamHeaderInPieces(t *testing.T) {
	t.Parallel()
	frame := readVectors(t, "stream-headers.txt")[0].bytes(t, "header")
	for name, r := range map[string]io.Reader{
		"single bytes":  iotest.OneByteReader(bytes.NewReader(frame)),
		"halves":        iotest.HalfReader(bytes.NewReader(frame)),
		"data with EOF": iotest.DataErrReader(bytes.NewReader(frame)),
	} {
		if h, err := ReadStreamHeader(r); err != nil || h.Service != "web" {
			t.Errorf("%s: %v %v", name, h, err)
		}
	}
}

func TestAppendStreamHeaderRefuses(t *testing.T) {
	t.Parallel()
	large := &StreamHeader{Service: "web"}
	large.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 900, protowire.BytesType), make([]byte, MaxHeaderSize)))
	for name, h := range map[string]*StreamHeader{
		"no header":   nil,
		"no service":  {},
		"bad client":  {Service: "web", ClientAddress: "localhost:1"},
		"bad address": {Service: "web", PublicAddress: "1.2.3.4"},
		"too large":   large,
	} {
		if frame, err := AppendStreamHeader(nil, h); err == nil {
			t.Errorf("%s: encoded as %x", name, frame)
		}
	}
}
