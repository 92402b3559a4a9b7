//go:build linux

package dashboard

import "testing"

// TestLogin: the page asks for the token, keeps it for its tab, and forgets it.
func TestLogin(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.addNode("shed-pi", "web", 20000)
	b := o.open(t)
	b.Shows("1 of 1 node")
	b.Click("#logout")
	b.Shows("Log in")
	b.Hides("shed-pi")
	b.Write("input[name=token]", "wrong-wrong-wrong-wrong-wrong-wrong")
	press(b, "Log in")
	b.Shows("the token is wrong")
	o.logIn(b)
	b.Open(o.url + "#nodes")
	b.Run("location.reload()")
	b.Shows("shed-pi")
	if got := b.Run("return document.cookie + JSON.stringify(localStorage)"); got != "{}" {
		t.Errorf("the browser keeps %s", got)
	}
	b.Click("#logout")
	b.Run("location.reload()")
	b.Shows("Log in")
	if got := b.Run("return JSON.stringify(sessionStorage)"); got != "{}" {
		t.Errorf("the tab keeps %s", got)
	}
}
