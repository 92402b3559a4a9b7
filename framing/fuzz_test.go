package framing

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// checkEnd fails for an error that no input may cause.
func checkEnd(t *testing.T, err error) {
	t.Helper()
	_, bad := errors.AsType[*ProtocolError](err)
	if !bad && err != io.EOF && err != io.ErrUnexpectedEOF {
		t.Fatalf("ended with %v", err)
	}
}

// FuzzOpen reads a stream as it is, then again with every envelope signed anew, so that what is behind the
// signature is reached: what is accepted says the same when it is sealed again.
func FuzzOpen(f *testing.F) {
	for _, v := range readVectors(f, "messages.txt") {
		f.Add(v.bytes(f, "frame"))
	}
	for _, v := range readVectors(f, "bad-messages.txt") {
		f.Add(v.bytes(f, "stream"))
	}
	all := readIdentities(f)
	f.Fuzz(func(t *testing.T, stream []byte) {
		reader, opener := bufio.NewReader(bytes.NewReader(stream)), all.opener("node", 0)
		var err error
		for err == nil {
			_, err = opener.Open(reader)
		}
		checkEnd(t, err)

		reader, opener = bufio.NewReader(bytes.NewReader(stream)), all.opener("node", 0)
		sealer := all.sealer("node", 0)
		for {
			frame, err := readFrame(reader, MaxMessageSize)
			if err != nil {
				checkEnd(t, err)
				return
			}
			signed, ok := signAnew(all, frame, opener.nonce+1)
			if !ok {
				return
			}
			envelope, err := open(opener, signed)
			if err != nil {
				t.Fatalf("a message that is signed anew: %v", err)
			}
			checkSealedAgain(t, sealer, all, envelope)
		}
	})
}

// signAnew makes the node the sender of an envelope. It reports false if that does not make it acceptable.
func signAnew(all identities, frame []byte, nonce uint64) ([]byte, bool) {
	m := new(Message)
	if err := proto.Unmarshal(frame, m); err != nil {
		return nil, false
	}
	m.Sender, m.MessageNonce, m.NetID = &ID{NetKey: all.public("node")}, nonce, 0
	m.Signature = ed25519.Sign(all.keys["node"], signedBytes(m, RoleNode, all.exporter))
	b, err := proto.Marshal(m)
	return append(protowire.AppendVarint(nil, uint64(len(b))), b...), err == nil && len(b) <= MaxMessageSize
}

func checkSealedAgain(t *testing.T, sealer *Sealer, all identities, envelope Envelope) {
	t.Helper()
	inner := newInner(envelope.Opcode)
	if inner == nil {
		return
	}
	if err := envelope.Decode(inner); err != nil {
		checkEnd(t, err)
		return
	}
	sealer.nonce = 0
	frame, err := sealer.Seal(envelope.Opcode, inner, envelope.RequestNonce, envelope.Reply)
	if err != nil {
		t.Fatalf("what was accepted cannot be sealed again: %v", err)
	}
	again, err := open(all.opener("node", 0), frame)
	if err != nil {
		t.Fatalf("what was accepted is not when it is sealed again: %v", err)
	}
	second := newInner(again.Opcode)
	if err := again.Decode(second); err != nil || !proto.Equal(inner, second) {
		t.Fatalf("%v became %v (%v)", inner, second, err)
	}
	if again.RequestNonce != envelope.RequestNonce || again.Reply != envelope.Reply {
		t.Fatalf("%+v became %+v", envelope, again)
	}
}

// FuzzReadStreamHeader: nothing behind the header is touched, and an accepted header says the same when it is
// encoded again.
func FuzzReadStreamHeader(f *testing.F) {
	for _, v := range readVectors(f, "stream-headers.txt") {
		f.Add(append(v.bytes(f, "header"), v.bytes(f, "payload")...))
	}
	for _, v := range readVectors(f, "bad-stream-headers.txt") {
		f.Add(v.bytes(f, "stream"))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		h, err := ReadStreamHeader(r)
		read := len(stream) - r.Len()
		if read > 10+MaxHeaderSize {
			t.Fatalf("%d bytes read", read)
		}
		if err != nil {
			checkEnd(t, err)
			return
		}
		if size, n := protowire.ConsumeVarint(stream); read != n+int(size) {
			t.Fatalf("%d bytes read, the header has %d", read, n+int(size))
		}
		frame, err := AppendStreamHeader(nil, h)
		if err != nil {
			t.Fatalf("%v was accepted and cannot be encoded: %v", h, err)
		}
		again, err := ReadStreamHeader(bytes.NewReader(frame))
		if err != nil || !proto.Equal(h, again) {
			t.Fatalf("%v became %v (%v)", h, again, err)
		}
	})
}

// FuzzReadStreamAnswer: the same for the answers to reopened streams.
func FuzzReadStreamAnswer(f *testing.F) {
	for _, file := range []string{"stream-answers.txt", "bad-stream-answers.txt"} {
		for _, v := range readVectors(f, file) {
			f.Add(append(v.bytes(f, map[bool]string{true: "answer", false: "stream"}[v["answer"] != ""]), "payload"...))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		a, err := ReadStreamAnswer(r)
		if read := len(stream) - r.Len(); read > 10+MaxAnswerSize {
			t.Fatalf("%d bytes read", read)
		}
		if err != nil {
			checkEnd(t, err)
			return
		}
		frame, err := AppendStreamAnswer(nil, a)
		if err != nil {
			t.Fatalf("%v cannot be encoded: %v", a, err)
		}
		if again, err := ReadStreamAnswer(bytes.NewReader(frame)); err != nil || !proto.Equal(a, again) {
			t.Fatalf("%v became %v, %v", a, again, err)
		}
	})
}

// FuzzParseOrigin: the grammar of the specification accepts the same, and an accepted address has one
// spelling, which means the same.
func FuzzParseOrigin(f *testing.F) {
	for _, v := range readVectors(f, "origins.txt") {
		f.Add(v.text(f, "origin"))
	}
	valid := originGrammar(f)
	f.Fuzz(func(t *testing.T, s string) {
		network, address, err := ParseOrigin(s)
		if (err == nil) != valid(s) {
			t.Fatalf("%q: %v, the grammar says %t", s, err, valid(s))
		}
		if err != nil {
			return
		}
		uri := FormatOrigin(network, address)
		n, a, err := ParseOrigin(uri)
		if err != nil || n != network || a != address {
			t.Fatalf("%q is %s %q; %q is %s %q (%v)", s, network, address, uri, n, a, err)
		}
	})
}
