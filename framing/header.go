package framing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// MaxHeaderSize bounds a stream header, in bytes, without its length.
	MaxHeaderSize = 4 << 10
	// MaxAnswerSize bounds the answer to the header of a reopened stream.
	MaxAnswerSize = 64
	// MaxStripeSize bounds the headers of stripes and records, without their lengths.
	MaxStripeSize = 64
	// MaxRecordSize bounds a record, in bytes, without its header.
	MaxRecordSize = 64 << 10

	// MaxOffset is the largest number of a byte of a relay.
	MaxOffset = math.MaxInt64

	maxAddressSize = 128
)

var errOffset = errors.New("a number of bytes of more than 63 bits")

// AppendStreamHeader appends the length of h and h to b.
func AppendStreamHeader(b []byte, h *StreamHeader) ([]byte, error) {
	if err := checkHeader(h); err != nil {
		return nil, fmt.Errorf("stream header: %w", err)
	}
	size := proto.Size(h)
	if size > MaxHeaderSize {
		return nil, fmt.Errorf("stream header: %d bytes, but at most %d are allowed", size, MaxHeaderSize)
	}
	return proto.MarshalOptions{}.MarshalAppend(protowire.AppendVarint(b, uint64(size)), h)
}

// ReadStreamHeader reads the header of a relay stream and not one byte more; r need not be buffered. It
// returns io.ErrUnexpectedEOF if the stream ends within the header, a *ProtocolError with ErrorBadHeader if
// the header is unacceptable, and other errors of r unchanged.
func ReadStreamHeader(r io.Reader) (*StreamHeader, error) {
	h := new(StreamHeader)
	if err := readHeader(r, h, MaxHeaderSize); err != nil {
		return nil, err
	}
	if err := checkHeader(h); err != nil {
		return nil, badHeader(err)
	}
	return h, nil
}

// AppendStreamAnswer appends the length of a and a to b.
func AppendStreamAnswer(b []byte, a *StreamAnswer) ([]byte, error) {
	if a.GetReceived() > MaxOffset {
		return nil, fmt.Errorf("stream answer: %w", errOffset)
	}
	return proto.MarshalOptions{}.MarshalAppend(protowire.AppendVarint(b, uint64(proto.Size(a))), a)
}

// ReadStreamAnswer reads the answer to the header of a reopened stream, as ReadStreamHeader does.
func ReadStreamAnswer(r io.Reader) (*StreamAnswer, error) {
	a := new(StreamAnswer)
	if err := readHeader(r, a, MaxAnswerSize); err != nil {
		return nil, err
	}
	if a.Received > MaxOffset {
		return nil, badHeader(errOffset)
	}
	return a, nil
}

// AppendStripeHeader appends the length of h and h to b.
func AppendStripeHeader(b []byte, h *StripeHeader) ([]byte, error) {
	if err := checkStripe(h); err != nil {
		return nil, fmt.Errorf("stripe header: %w", err)
	}
	return proto.MarshalOptions{}.MarshalAppend(protowire.AppendVarint(b, uint64(proto.Size(h))), h)
}

// ReadStripeHeader reads the header of a stripe, as ReadStreamHeader does.
func ReadStripeHeader(r io.Reader) (*StripeHeader, error) {
	h := new(StripeHeader)
	if err := readHeader(r, h, MaxStripeSize); err != nil {
		return nil, err
	}
	if err := checkStripe(h); err != nil {
		return nil, badHeader(err)
	}
	return h, nil
}

func checkStripe(h *StripeHeader) error {
	if h.GetRelay() == 0 || h.GetAttempt() == 0 {
		return errors.New("a stripe of no relay, or of no attempt")
	}
	return nil
}

// AppendRecordHeader appends the length of h and h to b.
func AppendRecordHeader(b []byte, h *RecordHeader) ([]byte, error) {
	if err := checkRecord(h); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return proto.MarshalOptions{}.MarshalAppend(protowire.AppendVarint(b, uint64(proto.Size(h))), h)
}

// ReadRecordHeader reads the header of a record, as ReadStreamHeader does. It returns io.EOF if the stripe
// ends before it.
func ReadRecordHeader(r io.Reader) (*RecordHeader, error) {
	var first [1]byte
	if _, err := io.ReadFull(r, first[:]); err != nil {
		return nil, err
	}
	h := new(RecordHeader)
	if err := readHeader(io.MultiReader(bytes.NewReader(first[:]), r), h, MaxStripeSize); err != nil {
		return nil, err
	}
	if err := checkRecord(h); err != nil {
		return nil, badHeader(err)
	}
	return h, nil
}

func checkRecord(h *RecordHeader) error {
	switch {
	case h.GetLength() > MaxRecordSize:
		return fmt.Errorf("a record of %d bytes, but at most %d are allowed", h.GetLength(), MaxRecordSize)
	case h.GetOffset() > MaxOffset-MaxRecordSize:
		return errOffset
	case h.GetLength() == 0 && !h.GetEnd():
		return errors.New("an empty record")
	}
	return nil
}

func readHeader(r io.Reader, h proto.Message, most uint64) error {
	frame, err := readFrame(byteReader{r}, most)
	if bad, ok := errors.AsType[*ProtocolError](err); ok {
		return badHeader(bad)
	}
	if err != nil {
		return unexpectedEOF(err)
	}
	if err := proto.Unmarshal(frame, h); err != nil {
		return badHeader(errors.New("it cannot be decoded"))
	}
	return nil
}

func badHeader(why error) error {
	return protocolErrorf(ErrorBadHeader, "the header of a stream is bad: %v", why)
}

func checkHeader(h *StreamHeader) error {
	if err := CheckServiceName(h.GetService()); err != nil {
		return err
	}
	if err := checkAddress(h.GetClientAddress()); err != nil {
		return err
	}
	if err := checkAddress(h.GetPublicAddress()); err != nil {
		return err
	}
	if name := h.GetNodeName(); len(name) > MaxNodeName || !isText(name) {
		return fmt.Errorf("%.40q is not the name of a node", name)
	}
	switch {
	case h.GetRelay() == 0 && (h.GetAttempt() > 0 || h.GetReceived() > 0):
		return errors.New("an attempt of a relay without a number")
	case h.GetRelay() != 0 && h.GetAttempt() == 0:
		return errors.New("a relay with a number, but no attempt")
	case h.GetReceived() > 0 && h.GetAttempt() < 2:
		return errors.New("something was received before the first attempt")
	case h.GetReceived() > MaxOffset:
		return errOffset
	case h.GetCanary() && isOfClient(h):
		return errors.New("a canary with something of a client")
	}
	return nil
}

// isOfClient reports whether a header says more than which service it is for.
func isOfClient(h *StreamHeader) bool {
	return h.GetRelay() != 0 || h.GetConnect() != 0 || h.GetTls() || h.GetTlsEnded() || h.GetClientAddress() != "" || h.GetPublicAddress() != "" || h.GetNodeName() != ""
}

// checkAddress accepts ip:port, or an empty text if there is no address to tell.
func checkAddress(s string) error {
	if s == "" {
		return nil
	}
	if len(s) > maxAddressSize || !isText(s) { // a zone could hold anything
		return fmt.Errorf("%.40q is not an address such as 192.0.2.1:80", s)
	}
	if _, err := netip.ParseAddrPort(s); err != nil {
		return fmt.Errorf("%q is not an address such as 192.0.2.1:80", s)
	}
	return nil
}

// byteReader reads single bytes without reading ahead.
type byteReader struct{ io.Reader }

func (r byteReader) ReadByte() (byte, error) {
	var one [1]byte
	_, err := io.ReadFull(r.Reader, one[:])
	return one[0], err
}
