package framing

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// MaxHeaderSize bounds a stream header, in bytes, without the length before it.
	MaxHeaderSize = 4 << 10
	// MaxAnswerSize bounds the answer to the header of a reopened stream.
	MaxAnswerSize = 64

	// MaxOffset is the largest number of a byte of a relay.
	MaxOffset = math.MaxInt64

	maxAddressSize = 128
)

var errOffset = errors.New("a number of bytes of more than 63 bits")

// AppendStreamHeader appends h to b, with its length before it.
func AppendStreamHeader(b []byte, h *StreamHeader) ([]byte, error) {
	if err := checkHeader(h); err != nil {
		return nil, fmt.Errorf("stream header: %w", err)
	}
	size := proto.Size(h)
	if size > MaxHeaderSize {
		return nil, fmt.Errorf("stream header: %d bytes, at most %d are allowed", size, MaxHeaderSize)
	}
	return proto.MarshalOptions{}.MarshalAppend(protowire.AppendVarint(b, uint64(size)), h)
}

// ReadStreamHeader reads the header of a relay stream and not one byte more; r need not be buffered. It
// returns io.ErrUnexpectedEOF if the stream ends before the header does, a *ProtocolError with
// ErrorBadHeader if the header is not acceptable, and other errors of r as they are.
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

// AppendStreamAnswer appends a to b, with its length before it.
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
	switch {
	case h.GetRelay() == 0 && (h.GetAttempt() > 0 || h.GetReceived() > 0):
		return errors.New("an attempt of a relay without a number")
	case h.GetRelay() != 0 && h.GetAttempt() == 0:
		return errors.New("a relay with a number, but no attempt")
	case h.GetReceived() > 0 && h.GetAttempt() < 2:
		return errors.New("something was received before the first attempt")
	case h.GetReceived() > MaxOffset:
		return errOffset
	}
	return nil
}

// checkAddress accepts ip:port, and nothing at all where there is no address to tell.
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
