package control

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"apquic/certs"
)

// AlivePath and ReadyPath are what anybody may ask: whether the program runs, and whether it can do its work. Programs
// that watch others as a rule cannot send a token, and the answers say no more than a port that is open.
const AlivePath, ReadyPath = "/healthz", "/readyz"

// PagePath is where the files of the page for browsers are, beside / itself.
const PagePath = "/dashboard/"

const (
	maxBody = 64 << 10 // bytes of a request
	// toldEvery is how often the log tells of wrong tokens.
	toldEvery = time.Minute
)

// Guard lets pass only requests by the owner of a program, and none that a web site makes the owner's browser send.
type Guard struct {
	token  [sha256.Size]byte // a hash of the token; zero: no token is accepted
	admins []certs.NodeID
	hosts  []string
	tries  *tries
	told   rate.Sometimes
	log    *slog.Logger
	others *http.CrossOriginProtection
	page   http.Handler       // nil: there is none
	door   door               // to the page
	came   func(netip.Prefix) // is told where the owner comes from
}

// NewGuard returns a guard that admits whoever has the token, unless it is empty, or over TLS the key of an admin, and
// who asks for an IP address, for localhost, or for one of the hosts.
func NewGuard(token string, admins []certs.NodeID, hosts []string, log *slog.Logger) *Guard {
	g := &Guard{admins: admins, hosts: hosts, tries: newTries(wrongRate, wrongBurst), came: func(netip.Prefix) {}, told: rate.Sometimes{Interval: toldEvery}, log: log, others: http.NewCrossOriginProtection()}
	if token != "" {
		g.token = sha256.Sum256([]byte(token))
	}
	return g
}

// refusal is why a request does not pass.
type refusal struct {
	status int
	Error  string `json:"error"`
	Hint   string `json:"hint,omitempty"`
}

var tooLong = &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d bytes", maxBody), ""}

// Protect returns next behind the guard, which has read the body of a request before next gets it.
func (g *Guard) Protect(next http.Handler) http.Handler {
	checks := []func(*http.Request) *refusal{checkPath, checkMethod, g.checkHost, g.checkSite, g.checkOwner, checkBody}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		for _, check := range checks {
			if refused := check(r); refused != nil {
				refused.write(w)
				return
			}
		}
		if g.isPage(r) {
			g.page.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		switch {
		case len(body) > maxBody:
			tooLong.write(w)
			return
		case err != nil:
			(&refusal{http.StatusBadRequest, "the body ended too early", ""}).write(w)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// isPage reports whether somebody only loads the page, which says nothing about the program.
func (g *Guard) isPage(r *http.Request) bool {
	return g.page != nil && r.Method != http.MethodPost && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, PagePath))
}

// headers are those of every answer: a browser takes it for what it says it is, loads nothing for it from elsewhere,
// shows it in no other site, and keeps no copy.
var headers = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cache-Control":                "no-store",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
}

func (r *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	switch r.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Connection", "close") // the rest of the request is not read
	w.WriteHeader(r.status)
	json.NewEncoder(w).Encode(r)
}

// checkPath: there is one way to write each path.
func checkPath(r *http.Request) *refusal {
	p := r.URL.Path
	if !strings.HasPrefix(p, "/") || p != "/" && path.Clean(p) != strings.TrimSuffix(p, "/") || r.URL.EscapedPath() != p || strings.ContainsAny(p, "\\%\x00") {
		return &refusal{http.StatusBadRequest, "the path is not written as it should be", ""}
	}
	return nil
}

func checkMethod(r *http.Request) *refusal {
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, r.Method) {
		return &refusal{http.StatusMethodNotAllowed, "want GET or POST", ""}
	}
	return nil
}

// checkHost: a web site whose name was made to point here (DNS rebinding) is asked for by that name.
func (g *Guard) checkHost(r *http.Request) *refusal {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err == nil || host == "localhost" || slices.ContainsFunc(g.hosts, func(known string) bool { return strings.EqualFold(known, host) }) {
		return nil
	}
	return &refusal{http.StatusMisdirectedRequest, "this program does not answer under that name", "ask for its IP address, or name the host with --admin-hosts"}
}

// checkSite: another web site makes a browser say so, except when it only leads there.
func (g *Guard) checkSite(r *http.Request) *refusal {
	from, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode")
	elsewhere := from != "" && from != "same-origin" && from != "none" && mode != "navigate"
	if elsewhere || g.others.Check(r) != nil {
		return &refusal{http.StatusForbidden, "another web site asks", ""}
	}
	return nil
}

// checkOwner lets pass who has the key of an admin or the token, or asks what anybody may. An address that tried too
// many wrong ones has to wait even with the right one.
func (g *Guard) checkOwner(r *http.Request) *refusal {
	from := network(r.RemoteAddr)
	if g.isAdmin(r.TLS) {
		g.came(from)
		return nil
	}
	if g.isPage(r) || r.Method != http.MethodPost && (r.URL.Path == AlivePath || r.URL.Path == ReadyPath) {
		return nil
	}
	if !g.tries.may(from) {
		return &refusal{http.StatusTooManyRequests, "too many wrong tokens came from this address", "wait a moment"}
	}
	token, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	if given && g.token != [sha256.Size]byte{} && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1 {
		g.came(from)
		return nil
	}
	if r.Header.Get("Authorization") == "" {
		return &refusal{http.StatusUnauthorized, "this is for the owner of the program", "send Authorization: Bearer TOKEN; the log of the program says in which file the token is"}
	}
	g.tries.count(from)
	g.told.Do(func() { g.log.Warn("somebody came with a wrong token to the admin address", "from", r.RemoteAddr) })
	return &refusal{http.StatusUnauthorized, "the token is wrong", "the log of the program says in which file the token is"}
}

func (g *Guard) isAdmin(state *tls.ConnectionState) bool {
	if state == nil || len(state.PeerCertificates) == 0 {
		return false
	}
	id, err := certs.AdminPeer(*state)
	return err == nil && slices.Contains(g.admins, id)
}

// checkBody: what changes something is JSON, which no form of a web site can send; nothing else has a body, for which
// somebody would wait.
func checkBody(r *http.Request) *refusal {
	if r.Method != http.MethodPost && r.ContentLength != 0 {
		return &refusal{http.StatusBadRequest, r.Method + " has no body here", ""}
	}
	if r.ContentLength > maxBody {
		return tooLong
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method == http.MethodPost && (err != nil || kind != "application/json") {
		return &refusal{http.StatusUnsupportedMediaType, "a change is asked for in JSON", "send Content-Type: application/json"}
	}
	return nil
}
