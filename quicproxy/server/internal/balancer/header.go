package balancer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/pires/go-proxyproto"
)

const (
	// maxLine is the longest header of version 1, by its specification.
	maxLine = 107
	// fixedPart of a header of version 2 precedes addresses and extensions, which it gives the length of.
	fixedPart = 16
	// maxHeader bounds a header of version 2, whose extensions could be 64 KiB. Those of cloud providers have
	// some dozen bytes.
	maxHeader = 2048
)

// readHeader reads a header and not a byte more: a relay reads the rest from the socket.
func readHeader(r io.Reader) ([]byte, error) {
	b := make([]byte, len(proxyproto.SIGV2), maxLine)
	if n, err := io.ReadFull(r, b); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, headerErrorf("the first %d bytes: %w", len(b), err)
	}
	switch {
	case bytes.Equal(b, proxyproto.SIGV2):
		return readBinary(r, b)
	case bytes.HasPrefix(b, proxyproto.SIGV1):
		return readLine(r, b)
	}
	return nil, headerErrorf("the connection begins otherwise")
}

// readLine reads version 1, byte by byte, since only its end says how long it is.
func readLine(r io.Reader, b []byte) ([]byte, error) {
	for b[len(b)-1] != '\n' {
		if len(b) == maxLine {
			return nil, headerErrorf("the line has more than %d bytes", maxLine)
		}
		b = b[:len(b)+1]
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return nil, headerErrorf("the end of the line: %w", err)
		}
	}
	return b, nil
}

// readBinary reads version 2, which says how long it is.
func readBinary(r io.Reader, b []byte) ([]byte, error) {
	signature := len(b)
	b = b[:fixedPart]
	if _, err := io.ReadFull(r, b[signature:]); err != nil {
		return nil, headerErrorf("after the signature: %w", err)
	}
	length := int(binary.BigEndian.Uint16(b[fixedPart-2:]))
	if length > maxHeader-fixedPart {
		return nil, headerErrorf("it has %d bytes, but only %d are allowed", fixedPart+length, maxHeader)
	}
	b = append(b, make([]byte, length)...)
	if _, err := io.ReadFull(r, b[fixedPart:]); err != nil {
		return nil, headerErrorf("addresses and extensions: %w", err)
	}
	return b, nil
}

// parse returns both ends of the client's connection to the balancer; nil: the header names none.
func parse(b []byte) (client, public net.Addr, err error) {
	header, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return nil, nil, &HeaderError{err}
	}
	if header.Command.IsLocal() || header.TransportProtocol.IsUnix() {
		return nil, nil, nil
	}
	from, to, ok := header.TCPAddrs()
	if !ok {
		return nil, nil, headerErrorf("its addresses are not of TCP")
	}
	return from, to, nil
}
