package login

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// sessionTime is how long a login is good for, attemptTime how long one may take.
	sessionTime, attemptTime = 12 * time.Hour, 10 * time.Minute
	// maxCookie is what browsers take.
	maxCookie = 4096

	// Browsers take cookies with this prefix from this very host alone, over TLS.
	cookiePrefix  = "__Host-apquic-"
	sessionCookie = cookiePrefix + "session"
	attemptCookie = cookiePrefix + "login"
)

// session is a visitor who has logged in.
type session struct {
	Subject string   `json:"s"`
	Email   string   `json:"e,omitempty"` // verified
	Groups  []string `json:"g,omitempty"` // those that Allow names
	Until   int64    `json:"u"`           // Unix time
}

// attempt is a login that has begun.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // PKCE
	Return   string `json:"r"` // path to return to
	Until    int64  `json:"u"`
}

var errCookie = errors.New("there is no valid cookie")

// purpose is what a cookie is good for, and nothing else: a kind, at a host, for a client of a provider.
func (p *Provider) purpose(name, host string) []byte {
	return fmt.Appendf(nil, "%s\n%s\n%s\n%s", name, strings.ToLower(host), p.config.Issuer, p.config.ClientID)
}

// setCookie gives a browser a value that only this program can read or make.
func (p *Provider) setCookie(w http.ResponseWriter, r *http.Request, name string, content any, life time.Duration) error {
	name = p.config.Place.own(name)
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	nonce := make([]byte, p.aead.NonceSize(), p.aead.NonceSize()+len(text)+p.aead.Overhead())
	rand.Read(nonce) // never fails
	value := base64.RawURLEncoding.EncodeToString(p.aead.Seal(nonce, nonce, text, p.purpose(name, r.Host)))
	if len(name)+len(value) > maxCookie {
		return fmt.Errorf("login: a cookie of %d bytes is too large", len(value))
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()), Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return nil
}

func (p *Provider) dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: p.config.Place.own(name), Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// readCookie reads what setCookie wrote.
func (p *Provider) readCookie(r *http.Request, name string, content any) error {
	name = p.config.Place.own(name)
	cookie, err := r.Cookie(name)
	if err != nil || len(cookie.Value) > maxCookie {
		return errCookie
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(sealed) < p.aead.NonceSize() {
		return errCookie
	}
	nonce, sealed := sealed[:p.aead.NonceSize()], sealed[p.aead.NonceSize():]
	text, err := p.aead.Open(nil, nonce, sealed, p.purpose(name, r.Host))
	if err != nil || json.Unmarshal(text, content) != nil {
		return errCookie
	}
	return nil
}

// sessionOf returns who sends a request, unless nobody is logged in.
func (p *Provider) sessionOf(r *http.Request) (s session, err error) {
	if err := p.readCookie(r, sessionCookie, &s); err != nil {
		return session{}, err
	}
	if time.Now().Unix() >= s.Until {
		return session{}, errCookie
	}
	return s, nil
}

// attemptOf returns the login of which a request is a part.
func (p *Provider) attemptOf(r *http.Request) (a attempt, err error) {
	if err := p.readCookie(r, attemptCookie, &a); err != nil {
		return attempt{}, err
	}
	if time.Now().Unix() >= a.Until {
		return attempt{}, errCookie
	}
	return a, nil
}

// dropCookies removes the guard's cookies, whose names begin with prefix, from a request for the site.
func dropCookies(header http.Header, prefix string) {
	lines := header["Cookie"]
	for i := 0; i < len(lines); i++ {
		var others []string
		for cookie := range strings.SplitSeq(lines[i], ";") {
			cookie = strings.TrimSpace(cookie)
			if len(cookie) < len(prefix) || !strings.EqualFold(cookie[:len(prefix)], prefix) {
				others = append(others, cookie)
			}
		}
		lines[i] = strings.Join(others, "; ")
	}
	if strings.Join(lines, "") == "" {
		header.Del("Cookie")
	}
}
