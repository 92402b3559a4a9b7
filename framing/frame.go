package framing

import (
	"errors"
	"io"
)

// frameReader is what frames are read from. ReadByte allows reading the length without reading ahead.
type frameReader interface {
	io.Reader
	io.ByteReader
}

// readFrame reads a length and that many bytes, and nothing beyond. Nothing is allocated for a length over
// limit. It returns io.EOF only if no byte of a frame came.
func readFrame(r frameReader, limit uint64) ([]byte, error) {
	size, err := readSize(r, limit)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, unexpectedEOF(err)
	}
	return frame, nil
}

// readSize reads a protobuf varint of at most ten bytes.
func readSize(r io.ByteReader, limit uint64) (uint64, error) {
	var size uint64
	for i := range 10 {
		b, err := r.ReadByte()
		if err != nil {
			if i > 0 {
				err = unexpectedEOF(err)
			}
			return 0, err
		}
		if i == 9 && b > 1 {
			break // more than 64 bits
		}
		size |= uint64(b&0x7f) << (7 * i)
		if size > limit {
			return 0, protocolErrorf(ErrorTooLarge, "a length of more than %d bytes", limit)
		}
		if b < 0x80 {
			return size, nil
		}
	}
	return 0, protocolErrorf(ErrorMalformed, "a length that is not a varint")
}

func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
