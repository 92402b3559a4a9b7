package balancer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

const v2 = "\r\n\r\n\x00\r\nQUIT\n"

// v2header is a header of version 2 with that many bytes of extensions.
func v2header(command, family byte, addresses string, extensions int) string {
	b := append([]byte(v2), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(addresses)+extensions))
	tlvs := ""
	if extensions > 0 {
		tlvs = "\x04" + string(binary.BigEndian.AppendUint16(nil, uint16(extensions-3))) + strings.Repeat("\x00", extensions-3) // PP2_TYPE_NOOP
	}
	return string(b) + addresses + tlvs
}

const (
	v4Addresses = "\xc6\x33\x64\x07\xcb\x00\x71\x05\xc7\x38\x4e\x20" // 198.51.100.7:51000 to 203.0.113.5:20000
	v6Addresses = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\xc7\x38\x4e\x20"
)

func read(r io.Reader) (client, public net.Addr, err error) {
	header, err := readHeader(r)
	if err != nil {
		return nil, nil, err
	}
	return parse(header)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	const payload = "PROXY TCP4 6.6.6.6 6.6.6.6 6 6\r\nand so on" // a client may send this; it is not ours
	for header, want := range map[string]string{
		"PROXY TCP4 198.51.100.7 203.0.113.5 51000 20000\r\n": "198.51.100.7:51000 203.0.113.5:20000",
		"PROXY TCP6 2001:db8::7 2001:db8::5 51000 20000\r\n":  "[2001:db8::7]:51000 [2001:db8::5]:20000",
		"PROXY UNKNOWN\r\n": "<nil> <nil>",
		"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n": "<nil> <nil>",
		v2header(0x21, 0x11, v4Addresses, 0):                 "198.51.100.7:51000 203.0.113.5:20000",
		v2header(0x21, 0x11, v4Addresses, 100):               "198.51.100.7:51000 203.0.113.5:20000",
		v2header(0x21, 0x11, v4Addresses, maxHeader-16-12):   "198.51.100.7:51000 203.0.113.5:20000",
		v2header(0x21, 0x21, v6Addresses, 0):                 "[2001:db8::7]:51000 [2001:db8::5]:20000",
		v2header(0x20, 0x00, "", 0):                          "<nil> <nil>",
		v2header(0x20, 0x11, v4Addresses, 0):                 "<nil> <nil>",
		v2header(0x21, 0x31, strings.Repeat("\x00", 216), 0): "<nil> <nil>",
	} {
		r := bytes.NewReader([]byte(header + payload))
		client, public, err := read(r)
		if got := fmt.Sprint(client, " ", public); err != nil || got != want {
			t.Errorf("%q: %s %v, want %s", header, got, err, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != payload {
			t.Errorf("%q: %q is left, want all of the client's", header, rest)
		}
		for cut := 1; cut < len(header); cut++ {
			_, _, err := read(strings.NewReader(header[:cut]))
			if !errors.As(err, new(*HeaderError)) {
				t.Fatalf("%q: %v, want an error because it is cut", header[:cut], err)
			}
		}
	}
	if _, _, err := read(strings.NewReader("")); err != io.EOF {
		t.Errorf("a check of the port: %v", err)
	}
}

// endless is a header that never ends, and counts what was read of it.
type endless struct {
	begin string
	read  int
}

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
		if e.read < len(e.begin) {
			b[i] = e.begin[e.read]
		}
		e.read++
	}
	return len(b), nil
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	for begin, most := range map[string]int{
		"GET / HTTP/1.1\r\n":                            12,
		"PROXY ":                                        maxLine,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2":                maxLine,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n":              maxLine, // without CR
		"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n":              maxLine,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n":        maxLine,
		"PROXY TCP4 1.2.3.4.5 5.6.7.8 1 2\r\n":          maxLine,
		"PROXY TCP6 1::2%eth0 ::1 1 2\r\n":              maxLine,
		"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n":            maxLine,
		v2header(0x21, 0x12, v4Addresses, 0):            maxHeader, // UDP
		v2header(0x21, 0x11, v4Addresses[:11], 0):       maxHeader,
		v2header(0x11, 0x11, v4Addresses, 0):            maxHeader, // version 1 in this form
		v2header(0x22, 0x11, v4Addresses, 0):            maxHeader,
		v2header(0x21, 0x41, v4Addresses, 0):            maxHeader,
		v2header(0x21, 0x11, v4Addresses, maxHeader-27): fixedPart, // one byte too long
		v2 + "\x21\x11\xff\xff":                         fixedPart,
		v2[:11] + "\x0b" + "\x21\x11\x00\x0c":           12,
	} {
		r := &endless{begin: begin}
		client, _, err := read(r)
		if headerErr, ok := errors.AsType[*HeaderError](err); !ok || headerErr.Hint() == "" || r.read > most {
			t.Errorf("%q: %v %v after %d bytes, want an error after %d at most", begin, client, err, r.read, most)
		}
	}
}

// FuzzHeader: a header is read to its end and no further, whatever it says.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 198.51.100.7 203.0.113.5 51000 20000\r\nGET /"))
	f.Add([]byte(v2header(0x21, 0x21, v6Addresses, 30) + "GET /"))
	f.Add([]byte(v2header(0x20, 0x00, "", 3)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		header, err := readHeader(r)
		if err != nil {
			return
		}
		if len(header) > maxHeader || !bytes.HasPrefix(data, header) || len(data)-r.Len() != len(header) {
			t.Fatalf("%q, of which %d bytes are left, has the header %q", data, r.Len(), header)
		}
		client, public, err := parse(header)
		if (client == nil) != (public == nil) || err != nil && client != nil {
			t.Fatalf("%q: %v %v %v", header, client, public, err)
		}
	})
}
