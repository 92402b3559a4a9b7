package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// protoError ends the connection with its code (section 7).
type protoError struct {
	code uint64
	text string
}

func (e *protoError) Error() string { return e.text }

// Codes of section 7.
const (
	malformed, tooLarge, badSignature, badNonce, foreignKey, wrongNetwork, unexpectedMessage, unknownOpcode = 2, 3, 4, 5, 6, 7, 8, 9
	notAuthorized, replacedCode, shutdown                                                                   = 16, 17, 19
	relayReset, upstreamRefused, upstreamUnreachable, upstreamTimeout, unknownService, badHeader            = 64, 65, 66, 67, 68, 69
)

// fields are those of a protobuf message: the last one of each number, as numbers and as bytes.
type fields struct {
	numbers map[uint64]uint64
	bytes   map[uint64][]byte
}

// parse reads a message and skips unknown fields.
func parse(b []byte) (fields, bool) {
	f := fields{map[uint64]uint64{}, map[uint64][]byte{}}
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return f, false
		}
		b = b[n:]
		size := 0
		switch tag & 7 {
		case 0:
			if f.numbers[tag>>3], size = binary.Uvarint(b); size <= 0 {
				return f, false
			}
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return f, false
			}
			size = n + int(length)
			f.bytes[tag>>3] = b[n:size]
		default:
			return f, false
		}
		if size > len(b) {
			return f, false
		}
		b = b[size:]
	}
	return f, true
}

// text is a field that must be UTF-8.
func (f fields) text(number uint64) (string, error) {
	if !utf8.Valid(f.bytes[number]) {
		return "", &protoError{malformed, "text that is not UTF-8"}
	}
	return string(f.bytes[number]), nil
}

func appendNumber(b []byte, field, value uint64) []byte {
	if value == 0 {
		return b
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, field<<3), value)
}

func appendBytes[T string | []byte](b []byte, field uint64, value T) []byte {
	if len(value) == 0 {
		return b
	}
	b = binary.AppendUvarint(binary.AppendUvarint(b, field<<3|2), uint64(len(value)))
	return append(b, value...)
}

// readLength is the varint before a frame (section 3).
func readLength(r io.ByteReader, limit uint64) (size uint64, err error) {
	for i := range 10 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if i == 9 && b > 1 {
			break
		}
		if size |= uint64(b&0x7f) << (7 * i); size > limit {
			return 0, &protoError{tooLarge, "a frame that is too large"}
		}
		if b < 0x80 {
			return size, nil
		}
	}
	return 0, &protoError{malformed, "a length that is not a varint"}
}

// message is one of section 5, with what the envelope says about it.
type message struct {
	opcode  uint32
	request uint64
	reply   bool
	body    []byte
}

// Roles in signed bytes.
const roleNode, roleServer = 1, 2

// signedBytes is section 4, in the network 0.
func signedBytes(exporter []byte, role byte, m message, nonce uint64) []byte {
	b := append([]byte("apquic/1 control\x00"), exporter...)
	b = append(b, role)
	b = binary.BigEndian.AppendUint32(b, m.opcode)
	b = binary.BigEndian.AppendUint64(b, m.request)
	b = binary.BigEndian.AppendUint64(b, nonce)
	if m.reply {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(len(m.body)))
	return append(b, m.body...)
}

// seal makes a frame.
func seal(key ed25519.PrivateKey, exporter []byte, m message, nonce uint64) []byte {
	b := appendBytes(nil, 1, m.body)
	b = appendBytes(b, 2, appendBytes(nil, 1, []byte(key.Public().(ed25519.PublicKey))))
	b = appendBytes(b, 3, ed25519.Sign(key, signedBytes(exporter, roleNode, m, nonce)))
	b = appendNumber(b, 4, m.request)
	b = appendNumber(b, 5, nonce)
	if m.reply {
		b = appendNumber(b, 6, 1)
	}
	b = appendNumber(b, 7, uint64(m.opcode))
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

// open reads a frame from the server and makes the six checks of section 4 in order.
func open(r *bufio.Reader, server, exporter []byte, last uint64) (message, error) {
	size, err := readLength(r, 65536)
	if err != nil {
		return message{}, err
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return message{}, &protoError{malformed, "a message is truncated"}
	}
	envelope, ok := parse(frame)
	sender, okSender := parse(envelope.bytes[2])
	if !ok || !okSender {
		return message{}, &protoError{malformed, "a message cannot be decoded"}
	}
	m := message{uint32(envelope.numbers[7]), envelope.numbers[4], envelope.numbers[6] != 0, envelope.bytes[1]}
	nonce := envelope.numbers[5]
	switch {
	case !bytes.Equal(sender.bytes[1], server):
		return m, &protoError{foreignKey, "a message from somebody else"}
	case uint32(envelope.numbers[8]) != 0:
		return m, &protoError{wrongNetwork, "a message of another network"}
	case !ed25519.Verify(server, signedBytes(exporter, roleServer, m, nonce), envelope.bytes[3]):
		return m, &protoError{badSignature, "the signature is wrong"}
	case nonce != last+1:
		return m, &protoError{badNonce, fmt.Sprintf("message nonce %d follows %d", nonce, last)}
	}
	return m, nil
}
