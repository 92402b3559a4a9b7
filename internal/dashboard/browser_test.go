//go:build linux

package dashboard

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"apquic/internal/chromium"
	"apquic/internal/control"
)

// site is the address of a program with a page.
type site struct{ url, token, folder string }

// openDoor has a program whose data is in a folder answer its owner with api and the page, until the end of the test.
func openDoor(t *testing.T, program, folder string, log *slog.Logger, lines *lockedLines, api http.HandlerFunc) site {
	t.Helper()
	door := control.Address{DataDir: folder, Listen: "127.0.0.1:0", Log: log}.WithPage(Handler(), CommandOf(program, folder))
	stop, err := door.Answer(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	text, err := os.ReadFile(filepath.Join(folder, control.TokenName))
	if err != nil {
		t.Fatal(err)
	}
	return site{regexp.MustCompile(`url=(\S+)`).FindStringSubmatch(lines.text())[1], strings.TrimSpace(string(text)), folder}
}

// open loads the page in a browser and logs in. At the end of the test nothing was asked for elsewhere, and the console
// has no error.
func (o *site) open(t *testing.T, arguments ...string) *chromium.Browser {
	t.Helper()
	b := chromium.Start(t, arguments...)
	t.Cleanup(func() { o.check(t, b) })
	b.Open(o.url)
	o.logIn(b)
	return b
}

func (o *site) logIn(b *chromium.Browser) {
	b.Write("input[name=token]", o.token)
	b.Press(chromium.Enter)
	b.Until("!document.getElementById('views').hidden")
}

// check reports requests to anybody else, and what the browser complains of: violations of the policy, and mistakes in
// the scripts. Answers that say no are expected where a test provokes them.
func (o *site) check(t *testing.T, b *chromium.Browser) {
	t.Helper()
	for _, url := range b.Requests() {
		if !strings.HasPrefix(url, o.url) && !strings.HasPrefix(url, "data:") {
			t.Errorf("the page asks for %.200s", url)
		}
	}
	for _, line := range b.Console() {
		if !strings.Contains(line.Message, "Failed to load resource") {
			t.Errorf("the console has %s: %s", line.Level, line.Message)
		}
	}
}

// show goes to a view.
func show(b *chromium.Browser, name string) {
	b.Click("nav a[href='#" + name + "']")
	b.Until("document.querySelector('nav a[aria-current]').hash === '#" + name + "'")
}

// press clicks on the button with this text in the dialog on top, or else in the page.
func press(b *chromium.Browser, text string) {
	b.Until(`(() => {
		const within = [...document.querySelectorAll('dialog')].pop() ?? document.querySelector('main');
		document.querySelector('#pressed')?.removeAttribute('id');
		const found = [...within.querySelectorAll('button')].find((b) => b.textContent === '` + text + `' && !b.disabled);
		if (found) found.id = 'pressed';
		return found;
	})()`)
	b.Click("#pressed")
}

// countObjects counts those in the memory of the page, after a collection of garbage, of which a function is true.
func countObjects(b *chromium.Browser, is string) (n int) {
	var object struct{ Result struct{ ObjectID string } }
	b.Tool("Runtime.evaluate", map[string]any{"expression": "Object.prototype"}, &object)
	var all struct{ Objects struct{ ObjectID string } }
	b.Tool("Runtime.queryObjects", map[string]any{"prototypeObjectId": object.Result.ObjectID, "objectGroup": "counted"}, &all)
	var counted struct{ Result struct{ Value int } }
	b.Tool("Runtime.callFunctionOn", map[string]any{
		"objectId": all.Objects.ObjectID, "functionDeclaration": "function() { return this.filter(" + is + ").length }", "returnByValue": true,
	}, &counted)
	b.Tool("Runtime.releaseObjectGroup", map[string]any{"objectGroup": "counted"}, nil)
	return counted.Result.Value
}
