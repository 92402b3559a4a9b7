package framing

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// newInner makes an empty message of the kind that an opcode stands for.
func newInner(op Opcode) proto.Message {
	switch op {
	case OpKeepalive:
		return new(Keepalive)
	case OpKeepaliveResponse:
		return new(KeepaliveResponse)
	case OpProxyRequest:
		return new(ProxyRequest)
	case OpProxyResponse:
		return new(ProxyResponse)
	case OpFailure:
		return new(Failure)
	case OpRelease:
		return new(Release)
	case OpReleased:
		return new(Released)
	case OpDrain:
		return new(Drain)
	case OpDrained:
		return new(Drained)
	case OpHello:
		return new(Hello)
	case OpWelcome:
		return new(Welcome)
	case OpReplaced:
		return new(Replaced)
	case OpLanes:
		return new(Lanes)
	case OpProgress:
		return new(Progress)
	case OpProbeRequest:
		return new(ProbeRequest)
	case OpProbeResponse:
		return new(ProbeResponse)
	case OpProbeSend:
		return new(ProbeSend)
	case OpProbeSent:
		return new(ProbeSent)
	case OpConnect:
		return new(Connect)
	case OpConnected:
		return new(Connected)
	case OpVisitorsRequest:
		return new(VisitorsRequest)
	case OpVisitorsResponse:
		return new(VisitorsResponse)
	}
	return nil
}

func open(o *Opener, stream []byte) (Envelope, error) {
	return o.Open(bufio.NewReader(bytes.NewReader(stream)))
}

// codeOf is the code with which a connection ends whose control stream ended with err.
func codeOf(err error) ErrorCode {
	if e, ok := errors.AsType[*ProtocolError](err); ok {
		return e.Code
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrorMalformed
	}
	return NoError
}

func TestMessageVectors(t *testing.T) {
	t.Parallel()
	all := readIdentities(t)
	seen := make(map[Opcode]bool)
	for _, v := range readVectors(t, "messages.txt") {
		op := Opcode(v.number(t, "opcode"))
		seen[op] = true
		name := v.text(t, "type") + " " + v.text(t, "message_nonce")
		if op.String() != v.text(t, "type") {
			t.Errorf("%s: the opcode is of %v", name, op)
		}
		netID := uint32(v.number(t, "net_id"))
		frame := v.bytes(t, "frame")

		opener := all.opener(v.text(t, "from"), netID)
		opener.nonce = v.number(t, "message_nonce") - 1
		got, err := open(opener, frame)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := Envelope{op, v.bytes(t, "message"), v.number(t, "request_nonce"), v.number(t, "reply_flag") == 1}
		if got.Opcode != want.Opcode || !bytes.Equal(got.Payload, want.Payload) || got.RequestNonce != want.RequestNonce || got.Reply != want.Reply {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		inner := newInner(op)
		if err := got.Decode(inner); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkFields(t, name, inner, v)
		if v["unusual"] == "yes" {
			continue
		}
		sealer := all.sealer(v.text(t, "from"), netID)
		sealer.nonce = v.number(t, "message_nonce") - 1
		sealed, err := sealer.Seal(op, inner, want.RequestNonce, want.Reply)
		if err != nil || !bytes.Equal(sealed, frame) {
			t.Errorf("%s: sealed as %x, %v", name, sealed, err)
		}
	}
	for op := range opcodeNames {
		if !seen[op] {
			t.Errorf("no vector of %v", op)
		}
	}
}

// checkFields compares a decoded message with the text of a vector, and the signed bytes.
func checkFields(t *testing.T, name string, inner proto.Message, v vector) {
	t.Helper()
	want := inner.ProtoReflect().New().Interface()
	if err := prototext.Unmarshal([]byte(v.text(t, "fields")), want); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	known := proto.Clone(inner)
	known.ProtoReflect().SetUnknown(nil)
	if !proto.Equal(known, want) {
		t.Errorf("%s: got %v, want %v", name, known, want)
	}
	m := &Message{
		Message: v.bytes(t, "message"), Opcode: uint32(v.number(t, "opcode")), NetID: uint32(v.number(t, "net_id")),
		RequestNonce: v.number(t, "request_nonce"), MessageNonce: v.number(t, "message_nonce"),
		ReplyFlag: v.number(t, "reply_flag") == 1,
	}
	signed := signedBytes(m, roleOf(v.text(t, "from")), readIdentities(t).exporter)
	if !bytes.Equal(signed, v.bytes(t, "signed")) {
		t.Errorf("%s: signed bytes %x", name, signed)
	}
}

func TestBadMessageVectors(t *testing.T) {
	t.Parallel()
	all := readIdentities(t)
	for _, v := range readVectors(t, "bad-messages.txt") {
		t.Run(v.text(t, "name"), func(t *testing.T) {
			t.Parallel()
			opener := all.opener("node", 0)
			reader := bufio.NewReader(bytes.NewReader(v.bytes(t, "stream")))
			accepted := uint64(0)
			envelope, err := opener.Open(reader)
			for ; err == nil; envelope, err = opener.Open(reader) {
				if err = envelope.Decode(newInner(envelope.Opcode)); err != nil {
					break
				}
				accepted++
			}
			if got := constantNames(t, "errorcode.go", "Error")[uint64(codeOf(err))]; got != v.text(t, "error") {
				t.Errorf("ended with %v (%v), want %s", got, err, v.text(t, "error"))
			}
			if accepted != v.number(t, "accepted") {
				t.Errorf("accepted %d messages before", accepted)
			}
			if err.Error() == "" {
				t.Error("there is no text")
			}
		})
	}
}

// TestConversation: both sides, several messages, the reader cut into single bytes.
func TestConversation(t *testing.T) {
	t.Parallel()
	all := readIdentities(t)
	sealer, opener := all.sealer("server", 3), all.opener("server", 3)
	var stream bytes.Buffer
	for i := range uint64(5) {
		frame, err := sealer.Seal(OpReleased, &Released{Service: "web"}, i, i%2 == 1)
		if err != nil {
			t.Fatal(err)
		}
		stream.Write(frame)
	}
	reader := bufio.NewReader(iotest.OneByteReader(&stream))
	for i := range uint64(5) {
		envelope, err := opener.Open(reader)
		if err != nil || envelope.RequestNonce != i || envelope.Reply != (i%2 == 1) {
			t.Fatalf("message %d: %+v %v", i, envelope, err)
		}
	}
	if _, err := opener.Open(reader); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF itself", err)
	}
}

func TestLargestMessage(t *testing.T) {
	t.Parallel()
	all := readIdentities(t)
	sealer, opener := all.sealer("node", 0), all.opener("node", 0)
	if _, err := sealer.Seal(OpHello, &Hello{JoinSecret: make([]byte, MaxMessageSize)}, 1, false); err == nil {
		t.Error("a message over the limit was sealed")
	}
	if _, err := sealer.Seal(OpHello, &Hello{Version: "\xff"}, 1, false); err == nil {
		t.Error("text that is not UTF-8 was sealed")
	}
	empty, err := sealer.Seal(OpHello, &Hello{JoinSecret: make([]byte, 1<<15)}, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	overhead := len(empty) - 1<<15 - 3 // without the length before the envelope
	if _, err := open(opener, empty); err != nil {
		t.Fatalf("an error used up a nonce: %v", err)
	}
	largest, err := sealer.Seal(OpHello, &Hello{JoinSecret: make([]byte, MaxMessageSize-overhead)}, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	if size, n := protowire.ConsumeVarint(largest); size != MaxMessageSize || n != 3 {
		t.Fatalf("the largest message has %d bytes", size)
	}
	if _, err := open(opener, largest); err != nil {
		t.Errorf("the largest message: %v", err)
	}
	if _, err := sealer.Seal(OpHello, &Hello{JoinSecret: make([]byte, MaxMessageSize-overhead+1)}, 1, false); err == nil {
		t.Error("a message of one byte more was sealed")
	}
}

// TestOpenerWithoutKey: nobody can be the peer if there is no key to compare with.
func TestOpenerWithoutKey(t *testing.T) {
	t.Parallel()
	for _, peer := range [][]byte{nil, {}, make([]byte, 31)} {
		if _, err := open(NewOpener(peer, RoleNode, Binding{}), []byte{0}); codeOf(err) != ErrorForeignKey {
			t.Errorf("peer %x: %v", peer, err)
		}
	}
}

// TestReadErrors: what the stream itself says comes through.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("the stream is broken")
	frame := readVectors(t, "messages.txt")[0].bytes(t, "frame")
	for _, n := range []int{0, 1, 2, 100} {
		stream := func() io.Reader { return io.MultiReader(bytes.NewReader(frame[:n]), iotest.ErrReader(broken)) }
		if _, err := readIdentities(t).opener("node", 0).Open(bufio.NewReader(stream())); !errors.Is(err, broken) {
			t.Errorf("Open, %d bytes: %v", n, err)
		}
		if _, err := ReadStreamHeader(stream()); !errors.Is(err, broken) {
			t.Errorf("ReadStreamHeader, %d bytes: %v", n, err)
		}
	}
}

// TestBoundedAllocation is not parallel: it counts what the whole process allocates.
func TestBoundedAllocation(t *testing.T) {
	tiny := bytes.Repeat([]byte{0x0a, 1, 'x'}, MaxMessageSize/3) // each replaces the one before
	tests := map[string]struct {
		stream []byte
		most   uint64
	}{
		"length only":      {protowire.AppendVarint(nil, MaxMessageSize), 80 << 10},
		"length of 64 KiB": {protowire.AppendVarint(nil, MaxMessageSize+1), 8 << 10},
		"length of 2^63":   {protowire.AppendVarint(nil, 1<<63), 8 << 10},
		"many fields":      {append(protowire.AppendVarint(nil, uint64(len(tiny))), tiny...), 1 << 20},
	}
	for name, test := range tests {
		opener, reader := NewOpener(nil, RoleNode, Binding{}), bufio.NewReader(bytes.NewReader(test.stream))
		if n := allocated(func() { opener.Open(reader) }); n > test.most {
			t.Errorf("Open, %s: %d bytes allocated", name, n)
		}
		if n := allocated(func() { ReadStreamHeader(bytes.NewReader(test.stream)) }); n > 16<<10 {
			t.Errorf("ReadStreamHeader, %s: %d bytes allocated", name, n)
		}
	}
}

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestDecodeError(t *testing.T) {
	t.Parallel()
	err := Envelope{Opcode: OpHello, Payload: []byte{0xff}}.Decode(new(Hello))
	if codeOf(err) != ErrorMalformed || !strings.Contains(err.Error(), "Hello") {
		t.Errorf("got %v", err)
	}
}
