package vhost

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// goodbye bounds the time for an answer to arrive, and maxDiscarded what the client may send meanwhile:
	// closing with unread bytes would reset the connection, and the client would lose the answer.
	goodbye      = 2 * time.Second
	maxDiscarded = 64 << 10
)

// UnrecognizedName is the TLS alert for a ClientHello with a name that nobody has (RFC 6066 section 3), in a
// record of its own: crypto/tls cannot send it before a handshake.
var UnrecognizedName = []byte{21, 3, 3, 0, 2, 2, 112}

// Finish sends the last bytes to a client and closes its connection.
func Finish(client net.Conn, answer []byte) {
	defer client.Close()
	if len(answer) == 0 {
		return
	}
	client.SetDeadline(time.Now().Add(goodbye))
	if _, err := client.Write(answer); err != nil {
		return
	}
	if half, ok := client.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.Copy(io.Discard, io.LimitReader(client, maxDiscarded))
	}
}

// BadRequest is the answer to what is no request, or to one that cannot be passed on because it is ambiguous or
// on the port for TLS. It is empty for what a person does not send.
func BadRequest(read []byte, tls bool) []byte {
	switch {
	case len(read) == 0 || !isTokenByte(read[0]):
		return nil
	case tls:
		return Page(nil, http.StatusBadRequest, "This port speaks HTTPS: put https:// before the address.\n")
	}
	return Page(nil, http.StatusBadRequest, "This is no HTTP/1 request with one Host.\n")
}

// Redirect is the answer to a request for a name that has HTTPS on that port.
func Redirect(request *http.Request, name string, port int) []byte {
	host := name
	if port != 443 {
		host = net.JoinHostPort(name, strconv.Itoa(port))
	}
	target := request.URL.RequestURI()
	if !strings.HasPrefix(target, "/") { // CONNECT and OPTIONS * have no path
		target = "/"
	}
	return answer(request, http.StatusPermanentRedirect, http.Header{"Location": {"https://" + host + target}}, "This site speaks HTTPS.\n")
}

// Page is an answer with a text that nobody should keep.
func Page(request *http.Request, status int, text string) []byte {
	return answer(request, status, http.Header{"Cache-Control": {"no-store"}}, text)
}

// answer is a response after which the connection ends.
func answer(request *http.Request, status int, header http.Header, text string) []byte {
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	response := &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: request, Header: header, Close: true,
		ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text)),
	}
	var b strings.Builder
	response.Write(&b) // a Builder accepts everything
	return []byte(b.String())
}
