//go:build linux

package dashboard

import (
	"net/http"
	"testing"

	"apquic/internal/chromium"
)

// breakDown has the program answer each question of the page so, or as it should if that is nil.
func (o *owned) breakDown(answers http.HandlerFunc) {
	o.change(func() {
		if o.broken = nil; answers != nil {
			o.broken = answers
		}
	})
}

// TestTrouble: that the program does not answer is shown until it does, in each view that counts time.
func TestTrouble(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.populate()
	b := o.open(t)
	for _, view := range []string{"nodes", "services"} {
		show(b, view)
		b.Shows("attic-pi")
		o.breakDown(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
		b.Shows("Trying again.")
		staysInTrouble(t, b, view)
		o.breakDown(nil)
		b.Hides("Trying again.")
	}
}

// staysInTrouble looks at the page for a while, in which it does not ask again.
func staysInTrouble(t *testing.T, b *chromium.Browser, view string) {
	t.Helper()
	var hidden bool
	b.RunFor(`const trouble = document.getElementById('trouble');
		return new Promise((done) => {
			let was = false;
			const watch = new MutationObserver(() => { was ||= trouble.hidden; });
			watch.observe(trouble, { attributes: true });
			setTimeout(() => { watch.disconnect(); done(was || trouble.hidden); }, 2500);
		})`, &hidden)
	if hidden {
		t.Errorf("%s: the page says that all is well again, which it is not", view)
	}
}
