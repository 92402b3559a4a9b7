//go:build linux

package dashboard

import (
	"errors"
	"strings"
	"testing"
	"time"

	"apquic/internal/chromium"
	"apquic/internal/control"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// TestNodeViews: each view of a node shows what there is, and follows what changes.
func TestNodeViews(t *testing.T) {
	t.Parallel()
	o := newOwnedNode(t)
	o.flowing(t)
	o.log.Debug("relay ended", "service", "photos", "client", "192.0.2.80:1", "to_upstream", uint64(12), "from_upstream", uint64(4_560_000))
	b := o.open(t)
	for _, want := range []string{
		"shed-pi at tunnel.example.com:8090", "For 3 h 5 min", "at least 19 ms, 0.4 % lost", "3 connections", "tunnel.example.com:20000 and https://web-k3j9.tunnel.example.org", "https://photos.example.org",
		"private", "192.168.1.30:631", "no answer", "not asked", idOf(1).String(), idOf(2).String(), "every 36 s", "203.0.113.5:8090", "apquic-node v1.0.0",
	} {
		b.Shows(want)
	}
	b.Until("document.querySelectorAll('figure canvas').length === 2")
	b.Until("/[1-9].*[kM]B.s/.test(document.querySelector('figcaption .out').textContent)")
	b.Until("[...document.querySelectorAll('nav a')].map((a) => a.hash).join() === '#overview,#visitors,#refusals,#events'")
	o.change(func() {
		o.status.Since, o.status.Trouble, o.status.NextTry = time.Time{}, errors.New("no answer from the server"), time.Now().Add(time.Minute)
	})
	b.Shows("no answer from the server; next try in")
	o.change(func() { o.status.Since, o.status.Trouble = time.Now(), nil })
	b.Until("/^For [0-9]+ s$/.test(document.querySelector('.large').textContent)")
	press(b, "printer")
	b.Shows("connect: connection refused")
	press(b, "Close")
	press(b, "web")
	b.Shows("Refused by the server, countries: 12")
	press(b, "Close")

	show(b, "visitors")
	b.Shows("3 connections")
	b.Shows("192.0.2.80:1") // has left
	b.Shows("4.56 MB")
	b.Until("[...document.querySelectorAll('tbody td')].some((c) => /[1-9].*[kM]B.s/.test(c.textContent))")
	o.change(func() {
		o.relays = append(o.relays, live.Relay{Service: "ssh", Client: "192.0.2.99:2", Since: time.Now(), State: "running"})
	})
	b.Shows("192.0.2.99:2")
	o.change(func() { o.relays = o.relays[:3] })
	o.log.Debug("relay ended", "service", "ssh", "client", "192.0.2.99:2", "to_upstream", uint64(1), "from_upstream", uint64(77))
	b.Shows("77 B")
	b.Shows("3 connections")

	show(b, "refusals")
	b.Shows("countries")
	b.Shows("password")
	b.Shows("1,200")

	show(b, "events")
	o.log.Info("connected", "server", "203.0.113.5:8090")
	b.Shows("server=203.0.113.5:8090")
}

// TestNodeActions: the node reads its settings again, and leaves its server once its owner has said so.
func TestNodeActions(t *testing.T) {
	t.Parallel()
	o := newOwnedNode(t)
	b := o.open(t)
	press(b, "Read the settings again")
	b.Shows("The settings were read. changed: services.web")
	press(b, "Leave the server")
	b.Shows("gives the ports and domains of this node to others")
	b.Until("document.activeElement.textContent === 'Cancel'")
	b.Press(chromium.Enter)
	b.Until("!document.querySelector('dialog')")
	if _, _, did := o.times(""); did != "" {
		t.Errorf("by accident: %s", did)
	}
	o.change(func() { o.leave = "no answer from the server" })
	press(b, "Leave the server")
	b.Click("dialog button.danger")
	b.Shows("no answer from the server: try again")
	o.change(func() { o.leave = "" })
	b.Click("dialog input[type=checkbox]")
	b.Click("dialog button.danger")
	b.Shows("tunnel.example.com:8090 has released the ports and domains of this node, except what its operator pinned. The node stops when its visitors have finished. Its settings still name the server")
	if _, _, did := o.times(""); did != "leave force=true" {
		t.Errorf("the owner did %q", did)
	}
	before, _, _ := o.times("/api/v1/status")
	time.Sleep(2500 * time.Millisecond)
	if after, _, _ := o.times("/api/v1/status"); after != before {
		t.Error("the page asks a node that has left")
	}
}

// TestNodeHostileNames: what the server and visitors say is shown by a node as it is, and runs nothing.
func TestNodeHostileNames(t *testing.T) {
	t.Parallel()
	o := newOwnedNode(t)
	const script, image = `<script>window.taken = 1</script>`, `"><img src=x onerror="window.taken = 2">`
	o.change(func() {
		o.status.Name, o.status.Address, o.status.Remote = script, image, script
		o.status.Services = []node.ServiceStatus{
			{Service: "web", Origin: "tcp://127.0.0.1:80", PublicAddress: "javascript:window.taken=3", Name: image, Relays: 1, Upstream: errors.New(script)},
			{Service: "ssh", Origin: "tcp://127.0.0.1:22", Refusal: errors.New(image)},
			{Service: "private", Origin: "tcp://127.0.0.1:22", PublicAddress: "private:" + script},
		}
		o.status.DatagramsDropped = map[string]uint64{script: 1, "__proto__": 2}
		o.relays = []live.Relay{{Service: "web", Client: script, State: image, Since: time.Now()}}
	})
	o.log.Debug("relay ended", "service", image, "client", script, "to_upstream", uint64(12), "from_upstream", uint64(34))
	o.log.Warn(script, "reason", image, script, script, "long", strings.Repeat("x", 5000))
	b := o.open(t)
	b.Shows(script)
	b.Shows("javascript:window.taken=3")
	for _, name := range []string{"web", "ssh", "private"} {
		press(b, name)
		b.Shows("Upstream")
		press(b, "Close")
	}
	o.change(func() { o.status.Since, o.status.Trouble = time.Time{}, errors.New(image) })
	b.Shows(image)
	for _, name := range []string{"visitors", "refusals", "events"} {
		show(b, name)
		b.Shows(script)
	}
	b.Click("button.row")
	b.Shows(image)
	press(b, "Close")
	if got := b.Run("return String(window.taken) + document.querySelectorAll('main img, main script, main a').length"); got != "undefined0" {
		t.Errorf("what others say did something: %s", got)
	}
}

// TestNodePhone: nothing of a node is wider than a phone.
func TestNodePhone(t *testing.T) {
	t.Parallel()
	o := newOwnedNode(t)
	o.change(func() {
		o.status.Name = strings.Repeat("n", 60)
		o.status.Services[0].PublicAddress = "https://" + strings.Repeat("long.", 30) + "example.org"
		o.status.Services[1].Service = strings.Repeat("service", 9)
	})
	o.log.Debug("relay ended", "service", strings.Repeat("service", 9), "client", "[2001:db8:1111:2222:3333:4444:5555:6666]:60000")
	o.log.Info("connected", "name", strings.Repeat("x", 300))
	b := o.open(t)
	screen(b, 360, 640)
	for _, name := range []string{"overview", "visitors", "refusals", "events"} {
		show(b, name)
		b.Until("document.querySelectorAll('tbody tr').length > 2")
		fits(t, b, name)
	}
	show(b, "overview")
	press(b, "web")
	fits(t, b, "a service")
	press(b, "Close")
	press(b, "Leave the server")
	fits(t, b, "to leave")
}

// TestNodeNobodyLooks: a page of a node that is hidden asks for nothing, and one that is looked at has the services and
// the server asked seldom.
func TestNodeNobodyLooks(t *testing.T) {
	t.Parallel()
	o := newOwnedNode(t)
	b := o.open(t)
	b.Shows("no answer")
	before, dialled, _ := o.times("/api/v1/status")
	await(t, func() bool { asked, _, _ := o.times("/api/v1/status"); return asked > before+2 })
	if _, now, _ := o.times("/api/v1/status"); now > dialled {
		t.Errorf("within 6 s the services were asked %d times more", now-dialled)
	}
	for _, name := range []string{"overview", "visitors", "refusals"} {
		show(b, name)
		b.Shows("tunnel.example.com")
		time.Sleep(300 * time.Millisecond)
		hide(b, true)
		time.Sleep(300 * time.Millisecond) // what was on its way
		before, _, _ := o.times("/api/v1/status")
		time.Sleep(2500 * time.Millisecond)
		if after, _, _ := o.times("/api/v1/status"); after > before {
			t.Errorf("%s: hidden, it asked %d times", name, after-before)
		}
		hide(b, false)
		if name != "refusals" { // which is asked for every 10 s
			await(t, func() bool { after, _, _ := o.times("/api/v1/status"); return after > before })
		}
	}
}

// TestNodeKeyboard: everything of a node can be done without a mouse, and is said to a screen reader.
func TestNodeKeyboard(t *testing.T) {
	t.Parallel()
	o := newOwnedNode(t)
	b := o.open(t)
	b.Press("2")
	b.Shows("Left last")
	b.Press("1")
	b.Shows("Leave the server")
	b.Press("5") // there is none
	reach := func(text string) {
		t.Helper()
		for range 40 {
			if b.Run("return document.activeElement.textContent") == text {
				return
			}
			b.Press(chromium.Tab)
		}
		t.Fatalf("Tab does not lead to %s", text)
	}
	reach("printer")
	b.Press(chromium.Enter)
	b.Shows("connect: connection refused")
	b.Press(chromium.Escape)
	b.Until("!document.querySelector('dialog')")
	reach("Leave the server")
	b.Press(chromium.Enter)
	b.Until("document.activeElement.textContent === 'Cancel'")
	b.Press(chromium.Tab + chromium.Enter)
	b.Shows("The node has left")
	if got := b.Run("return document.querySelector('[role=alert]:not([hidden])').textContent"); !strings.Contains(got, "stops when its visitors") {
		t.Errorf("a screen reader is told %q", got)
	}
}

// TestLink: the link that the command dashboard prints logs in, and the token is no longer in the address; a wrong one
// does not, and takes nothing away.
func TestLink(t *testing.T) {
	t.Parallel()
	server, small := newOwned(t), newOwnedNode(t)
	for _, s := range []struct {
		*site
		shows string
	}{{&server.site, "0 of 0 nodes"}, {&small.site, "For 3 h"}} {
		link, err := control.Link(t.Context(), s.folder)
		if err != nil || link != s.url+"#token="+s.token {
			t.Fatalf("%s: %v", link, err)
		}
		b := chromium.Start(t)
		b.Open(link)
		b.Shows(s.shows)
		if got := b.Run("return location.href + history.length"); strings.Contains(got, s.token) || strings.Contains(got, "#") {
			t.Errorf("the address is %s", got)
		}
		b.Run("location.reload(); return ''")
		b.Shows(s.shows)
		b.Run("location.hash = '#token=wrong-wrong-wrong-wrong-wrong-wrong'; return ''")
		b.Shows("The link does not log in. the token is wrong")
		if got := b.Run("return location.href"); strings.Contains(got, "wrong") {
			t.Errorf("the address is %s", got)
		}
		b.Run("location.hash = '#token=%E0'; return ''")
		b.Shows("The link is damaged")
		b.Run("location.reload(); return ''")
		b.Shows(s.shows)
		b.Run("location.hash = '#token=" + s.token + "'; return ''")
		b.Shows(s.shows)
		s.check(t, b)
	}
}

// TestNodeTheme: what a node shows has contrast, dark and light.
func TestNodeTheme(t *testing.T) {
	t.Parallel()
	o := newOwnedNode(t)
	b := o.open(t)
	b.Shows("no answer")
	for _, scheme := range []string{"dark", "light"} {
		prefer(b, scheme)
		var worst struct {
			Ratio float64
			Text  string
		}
		b.RunFor(contrast, &worst)
		if worst.Ratio < 4.5 || worst.Ratio > 21 {
			t.Errorf("in %s, %q has a contrast of %.2f", scheme, worst.Text, worst.Ratio)
		}
	}
}
