package login

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// visitor is what is known about who sends a request.
type visitor struct {
	user, email  string
	certificates []*x509.Certificate // verified
	password     bool                // in the header Authorization
}

type visitorKey struct{}

// Names of headers by which the site learns of its visitor. Client-Cert is RFC 9440.
const (
	headerUser    = "X-Forwarded-User"
	headerEmail   = "X-Forwarded-Email"
	headerCert    = "Client-Cert"
	headerSubject = "X-Client-Cert-Subject"
)

// Tell makes the headers of a request for the site say who sends it, and nobody else: headers of that kind
// from outside are removed, and so is what is meant for the guard alone. The context is that of the request
// that Handler passed on.
func Tell(ctx context.Context, place Place, header http.Header) {
	for name := range header {
		if n := CanonicalHeader(name); strings.HasPrefix(n, headerCert) || strings.HasPrefix(n, "X-"+headerCert) || n == headerUser || n == headerEmail {
			delete(header, name)
		}
	}
	dropCookies(header, place.own(cookiePrefix))
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	if v == nil {
		return
	}
	if v.password {
		header.Del("Authorization")
	}
	set := func(name, value string) {
		if value != "" {
			header.Set(name, printable(value))
		}
	}
	set(headerUser, v.user)
	set(headerEmail, v.email)
	if len(v.certificates) > 0 {
		header.Set(headerCert, ":"+base64.StdEncoding.EncodeToString(v.certificates[0].Raw)+":")
		set(headerSubject, v.certificates[0].Subject.String())
	}
}

// CanonicalHeader is the name of a header for comparisons. Many programs make no difference between X-Real-IP
// and X_Real_IP (both are HTTP_X_REAL_IP to CGI and its successors).
func CanonicalHeader(name string) string {
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// printable is text for a header: other characters are escaped as in a distinguished name (RFC 4514, section
// 2.4).
func printable(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		return text
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			fmt.Fprintf(&b, `\%02X`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
