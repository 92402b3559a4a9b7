package login

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// ownPaths are the guard's own, of which the site sees no request.
	ownPaths     = "/.apquic/"
	callbackPath = ownPaths + "callback"
	logoutPath   = ownPaths + "logout"
	maxReturn    = 1024
)

// loggedIn checks that the visitor is logged in, and has browsers log in.
func (g *Guard) loggedIn(w http.ResponseWriter, r *http.Request, v *visitor) bool {
	p := g.config.Provider
	if p == nil {
		return true
	}
	s, err := p.sessionOf(r)
	own := p.config.Place.own
	switch {
	case r.URL.Path == own(callbackPath):
		g.callback(w, r, err == nil)
	case r.URL.Path == own(logoutPath):
		p.logout(w, r)
	case strings.HasPrefix(r.URL.Path, own(ownPaths)):
		http.NotFound(w, r)
	case err != nil:
		g.begin(w, r)
	case !p.allows(s):
		g.notAllowed(w, r, s)
	default:
		v.user, v.email = s.Subject, s.Email
		return true
	}
	return false
}

// begin sends a browser to the provider; programs, and scripts in a page, are only told.
func (g *Guard) begin(w http.ResponseWriter, r *http.Request) {
	p := g.config.Provider
	found := p.found.Load()
	switch {
	case found == nil:
		g.providerAway(w, r)
		return
	case !isNavigation(r):
		w.Header().Set("WWW-Authenticate", `Cookie realm="`+g.config.Realm+`"`)
		g.deny(w, r, http.StatusUnauthorized, reasonNotLoggedIn, "Log in with a browser first.")
		return
	}
	a := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Return: returnPath(r.URL), Until: time.Now().Add(attemptTime).Unix()}
	if err := p.setCookie(w, r, attemptCookie, a, attemptTime); err != nil { // too large, which maxReturn prevents
		g.deny(w, r, http.StatusInternalServerError, reasonLoginFailed, "The login cannot begin.")
		return
	}
	g.refuse(r.RemoteAddr, reasonNotLoggedIn)
	config := found.Config
	config.RedirectURL = p.callbackOf(r)
	redirect(w, http.StatusFound, config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)))
}

// callback ends a login: the provider has sent the browser back.
func (g *Guard) callback(w http.ResponseWriter, r *http.Request, already bool) {
	p := g.config.Provider
	a, err := p.attemptOf(r)
	query := r.URL.Query()
	found := p.found.Load()
	switch {
	case found == nil:
		g.providerAway(w, r)
		return
	case err != nil || r.Method != http.MethodGet || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(a.State)) != 1:
		if already { // in another window
			redirect(w, http.StatusSeeOther, "/")
			return
		}
		g.failed(w, r)
		return
	}
	p.dropCookie(w, attemptCookie) // it is good for one try
	if query.Get("error") != "" {
		g.failed(w, r)
		return
	}
	s, err := g.exchange(r, found, query.Get("code"), a)
	switch {
	case errors.Is(err, errTooMany):
		g.tooMany(w, r)
	case errors.Is(err, errRefused):
		g.config.Log.Debug("a login failed", "domain", g.config.Realm, "client", r.RemoteAddr, "err", err)
		g.failed(w, r)
	case err != nil:
		g.config.Log.Debug("the provider does not answer", "domain", g.config.Realm, "err", err)
		g.providerAway(w, r)
	case !p.allows(s):
		g.notAllowed(w, r, s)
	case p.setCookie(w, r, sessionCookie, s, sessionTime) != nil: // too large
		g.failed(w, r)
	default:
		redirect(w, http.StatusSeeOther, a.Return)
	}
}

// exchange asks the provider who logged in, unless too many do so at once, or this visitor has failed too
// often.
func (g *Guard) exchange(r *http.Request, found *endpoints, code string, a attempt) (s session, err error) {
	p := g.config.Provider
	select {
	case p.exchanges <- struct{}{}:
		defer func() { <-p.exchanges }()
	default:
		return session{}, errTooMany
	}
	end, err := g.config.Work.begin(r.RemoteAddr, time.Now())
	if err != nil {
		return session{}, err
	}
	s, err = p.exchange(r.Context(), found, p.callbackOf(r), code, a)
	end(errors.Is(err, errRefused))
	return s, err
}

// logout forgets a visitor who asks for it on a page of this site.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || http.NewCrossOriginProtection().Check(r) != nil {
		page(w, http.StatusOK, "Log out?", "You will need to log in again to visit this site.", `<form method="post"><button>Log out</button></form>`)
		return
	}
	p.dropCookie(w, sessionCookie)
	page(w, http.StatusOK, "You are logged out", "The provider may still know you, and let you in again without a password.", `<a href="/">Log in again</a>`)
}

func (g *Guard) providerAway(w http.ResponseWriter, r *http.Request) {
	g.refuse(r.RemoteAddr, reasonProviderAway)
	w.Header().Set("Retry-After", "10")
	page(w, http.StatusServiceUnavailable, "Nobody can log in now", "This site asks its visitors to log in, but where they do that does not answer. Try again later.", "")
}

func (g *Guard) failed(w http.ResponseWriter, r *http.Request) {
	g.refuse(r.RemoteAddr, reasonLoginFailed)
	page(w, http.StatusForbidden, "The login failed", "It took too long, was used already, or the provider refused it.", `<a href="/">Try again</a>`)
}

func (g *Guard) notAllowed(w http.ResponseWriter, r *http.Request, s session) {
	g.refuse(r.RemoteAddr, reasonNotAllowed)
	who := "You are logged in, without a verified address,"
	if s.Email != "" {
		who = "You are logged in as " + s.Email + ","
	}
	page(w, http.StatusForbidden, "You may not visit this site", who+" and are not among those who may visit.", `<form method="post" action="`+g.config.Provider.config.Place.own(logoutPath)+`"><button>Log out</button></form>`)
}

// isNavigation reports whether a browser shows the answer to a person. What scripts fetch, and other
// programs, could do nothing with a page to log in.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != "" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// callbackOf is where the provider sends browsers back to.
func (p *Provider) callbackOf(r *http.Request) string {
	return (&url.URL{Scheme: "https", Host: r.Host, Path: p.config.Place.own(callbackPath)}).String()
}

// returnPath is where a browser goes after the login: where it wanted to go, on this site, whatever the path
// looks like (//evil.example would be another site).
func returnPath(u *url.URL) string {
	path := "/" + strings.TrimLeft(u.EscapedPath(), `/\`)
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	if len(path) > maxReturn {
		return "/"
	}
	return path
}

// redirect is http.Redirect for a target that is complete.
func redirect(w http.ResponseWriter, status int, target string) {
	w.Header().Set("Location", target)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}
