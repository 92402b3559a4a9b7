package vhost

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// HTTP reads the head of the first request of a connection, and returns it, the name that it is for, and all
// bytes that were read. They are to be sent on first. The caller has set a read deadline. The request is nil if
// err is not nil, except for ErrNoName.
func HTTP(client net.Conn) (name string, request *http.Request, read []byte, err error) {
	r := &recorder{Conn: client}
	head, err := readHead(r)
	if err != nil {
		return "", nil, r.read, err
	}
	request, err = http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	if err != nil || request.ProtoMajor != 1 {
		return "", nil, r.read, ErrForeign
	}
	if err := checkHosts(head); err != nil {
		return "", nil, r.read, err
	}
	if name = nameOf(request.Host); name == "" {
		return "", request, r.read, ErrNoName
	}
	return name, request, r.read, nil
}

// readHead reads up to the empty line at the end of a head. Nothing is parsed before that: a parsed header may
// need forty times the memory of its bytes, and the client may wait before the last one.
func readHead(r *recorder) (head []byte, err error) {
	chunk := make([]byte, 4<<10)
	for {
		seen := max(len(r.read)-len("\r\n\r"), 0) // the line may have begun before
		if _, err := r.Read(chunk); err != nil {
			return nil, fmt.Errorf("reading the head of a request: %w", err)
		}
		if len(r.read) > 0 && !isTokenByte(r.read[0]) {
			return nil, ErrForeign // perhaps TLS, which would wait for an answer
		}
		if end := endOfHead(r.read[seen:]); end >= 0 {
			return r.read[:seen+end], nil
		}
	}
}

// endOfHead returns where the first empty line ends; -1: there is none.
func endOfHead(b []byte) int {
	end := -1
	for _, line := range []string{"\n\n", "\n\r\n"} {
		if i := bytes.Index(b, []byte(line)); i >= 0 && (end < 0 || i+len(line) < end) {
			end = i + len(line)
		}
	}
	return end
}

// isTokenByte reports whether a method may begin with b.
func isTokenByte(b byte) bool { return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' }

// checkHosts refuses a head of which programs along its way may read different Hosts. http.ReadRequest keeps the
// first of several.
func checkHosts(head []byte) error {
	r := textproto.NewReader(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	if _, err := r.ReadLine(); err != nil {
		return ErrForeign
	}
	header, err := r.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return ErrForeign
	}
	if hosts := header["Host"]; len(hosts) > 1 || len(hosts) == 1 && !httpguts.ValidHostHeader(hosts[0]) {
		return ErrForeign
	}
	for name := range header { // such as "Host " before the colon
		if !httpguts.ValidHeaderFieldName(name) {
			return ErrForeign
		}
	}
	return nil
}

// nameOf is the name in a Host header, without its port and the dot at its end.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
