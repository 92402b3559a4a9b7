//go:build linux

package dashboard

import (
	"io"
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

// TestStuck: a program that takes a question and says nothing, or stops in the middle of an answer, does not answer either.
func TestStuck(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.populate()
	b := o.open(t)
	b.Run("const wait = setTimeout; window.setTimeout = (act, time) => wait(act, time >= 40000 ? time / 30 : time); return ''") // what takes long
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	stuck := func(begin string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if begin != "" {
				io.WriteString(w, begin)
				http.NewResponseController(w).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-end:
			}
		}
	}
	for _, test := range []struct{ view, begin string }{{"nodes", ""}, {"services", "{"}, {"events", ": begin\n\n"}} {
		o.breakDown(stuck(test.begin))
		show(b, test.view)
		b.Shows("the program does not answer")
		o.breakDown(nil)
		b.Hides("the program does not answer")
	}
	o.breakDown(stuck(""))
	show(b, "limits")
	b.Click("main form button")
	b.Until("/does not answer/.test(document.querySelector('main form .wrong').textContent)") // the same for what is done
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
