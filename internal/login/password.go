package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"apquic/internal/password"
)

// passwords are those of a site.
type passwords struct {
	hashes map[string][]byte
	dummy  []byte // takes as long for an unknown user
	queue  *queue
	key    []byte // of what is in verified

	mu       sync.Mutex
	verified map[string][]byte // by user, a keyed hash of the password that was right
}

func newPasswords(hashes map[string]string, work *Work) *passwords {
	p := &passwords{hashes: make(map[string][]byte), queue: newQueue(work), key: make([]byte, sha256.Size), verified: make(map[string][]byte)}
	rand.Read(p.key) // never fails
	most := 0
	for user, hash := range hashes {
		p.hashes[user] = []byte(hash)
		if cost, _ := bcrypt.Cost([]byte(hash)); cost > most {
			p.dummy, most = []byte(hash), cost
		}
	}
	return p
}

// sum is a keyed hash of a password; only with the key, which is in memory alone, does it help to guess one.
func (p *passwords) sum(user, secret string) []byte {
	h := hmac.New(sha256.New, p.key)
	fmt.Fprintf(h, "%d %s%s", len(user), user, secret)
	return h.Sum(nil)
}

func (p *passwords) isVerified(user string, sum []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return hmac.Equal(p.verified[user], sum)
}

// check checks the credentials of a request. It is quick for those that were right before, and errTooMany if
// there is too much to check.
func (p *passwords) check(r *http.Request, user, secret string) (right bool, err error) {
	if secret == "" || len(secret) > password.MaxLength {
		return false, nil
	}
	sum := p.sum(user, secret)
	if p.isVerified(user, sum) {
		return true, nil
	}
	return p.queue.do(r.Context(), r.RemoteAddr, func() bool {
		if p.isVerified(user, sum) { // meanwhile
			return true
		}
		hash, known := p.hashes[user]
		if !known {
			hash = p.dummy
		}
		if bcrypt.CompareHashAndPassword(hash, []byte(secret)) != nil || !known {
			return false
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.verified[user] = sum
		return true
	})
}

// knows checks the password of a request.
func (g *Guard) knows(w http.ResponseWriter, r *http.Request, v *visitor) bool {
	if g.passwords == nil {
		return true
	}
	user, secret, given := r.BasicAuth()
	challenge := func(reason, text string) {
		w.Header().Set("WWW-Authenticate", "Basic realm="+strconv.Quote(g.config.Realm)+`, charset="UTF-8"`)
		g.deny(w, r, http.StatusUnauthorized, reason, text)
	}
	if !given {
		challenge(reasonNoPassword, "This site needs a password.")
		return false
	}
	right, err := g.passwords.check(r, user, secret)
	switch {
	case err != nil:
		g.tooMany(w, r)
	case !right:
		challenge(reasonWrongPassword, "The name or the password is wrong.")
	default:
		v.user, v.password = user, true
	}
	return right
}

// tooMany refuses a request whose credentials are not checked.
func (g *Guard) tooMany(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", strconv.Itoa(int(attemptEvery.Seconds())))
	g.deny(w, r, http.StatusTooManyRequests, reasonTooMany, "There are too many attempts to log in, from your address or to this site. Try again later.")
}
