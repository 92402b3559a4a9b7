//go:build linux

package dashboard

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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

// TestPausedEvents: events that come during a pause take no more memory than those that it shows.
func TestPausedEvents(t *testing.T) {
	t.Parallel()
	const most = 5000
	o := newOwned(t)
	b := o.open(t)
	show(b, "events")
	o.log.Info("the first")
	b.Shows("the first")
	press(b, "Pause")
	text := strings.Repeat("x", 100)
	for i := range 4 * most {
		o.log.Info("one of many", "n", i, "text", text)
		if i%250 == 0 {
			time.Sleep(25 * time.Millisecond) // the ring has 1000
		}
	}
	const event = "(o) => Object.hasOwn(o, 'attributes') && Object.hasOwn(o, 'level')"
	kept := 0
	await(t, func() bool {
		kept = countObjects(b, event)
		return kept > most/2
	})
	time.Sleep(500 * time.Millisecond)
	if kept = countObjects(b, event); kept > 2*most+100 {
		t.Errorf("the page keeps %d events", kept)
	}
	press(b, "Pause")
	b.Shows("5,000 events")
}
