//go:build linux

package dashboard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"apquic/admin"
	"apquic/internal/chromium"
	"apquic/internal/usage"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
)

// TestViews: each view shows what there is, and follows what changes.
func TestViews(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.populate()
	o.flowing(t)
	b := o.open(t)
	b.Shows("10 of 12 nodes")
	b.Shows("9 nodes from the internet")
	b.Until("/[1-9].*out/.test(document.querySelectorAll('.large')[2].textContent)")
	b.Until("document.querySelectorAll('figure canvas').length === 2")
	b.Until(`(() => { // something is drawn
		const c = document.querySelector('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
		return d.some((v, i) => i % 4 === 3 && v > 0);
	})()`)
	show(b, "nodes")
	b.Shows("10 of 12 online")
	b.Shows("attic-pi")
	o.change(func() { o.addNode("newcomer", "web", 20099) })
	b.Shows("newcomer")
	b.Click("thead th:nth-child(5) button") // by RTT: the largest first
	b.Until("document.querySelector('thead th:nth-child(5)').getAttribute('aria-sort') === 'descending'")
	first := b.Run("return document.querySelector('tbody button.row').textContent")
	if first != "newcomer" {
		t.Errorf("the slowest node is %s", first)
	}

	show(b, "services")
	b.Shows("cloud.example.com")
	b.Shows("29 min")
	b.Until(`(() => { // the countdown counts
		const now = [...document.querySelectorAll('tbody td')].map((c) => c.textContent).find((c) => c.startsWith('29 min') || c.startsWith('28 min'));
		window.before ??= now;
		return now !== window.before;
	})()`)
	b.Run("const s = document.querySelector('main select'); s.value = 'domain'; s.dispatchEvent(new Event('change')); return ''")
	b.Until("document.querySelectorAll('button.row').length === 1")

	show(b, "visitors")
	b.Shows("14 connections")
	b.Until("[...document.querySelectorAll('tbody td:nth-child(7)')].some((c) => /[1-9].*[kM]B.s/.test(c.textContent))")
	b.Run("const s = document.querySelector('main select'); s.value = 'flows'; s.dispatchEvent(new Event('change')); return ''")
	b.Shows("1 flow")
	b.Shows("203.0.113.9:6000")

	show(b, "limits")
	b.Shows("node away")
	b.Shows("38.8 MB of 268 MB")
	o.change(func() { o.status.Counters.RefusedBy["no such port"] = 4711 })
	b.Shows("4,711")

	show(b, "events")
	o.log.Info("node connected", "name", "garage", "from", "192.0.2.9:1")
	b.Shows("node-connected")
	b.Shows("name=garage")
	press(b, "Pause")
	o.log.Warn("an event during the pause")
	press(b, "Pause")
	b.Shows("an event during the pause")
	b.Run("const s = document.querySelector('main select'); s.value = 'WARN'; s.dispatchEvent(new Event('change')); return ''")
	b.Hides("node-connected")
}

// TestCanaries: of each service that the server asks, it is shown whether it answers, and how long ago it last did.
func TestCanaries(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	for i, name := range []string{"web", "ssh", "photos", "mail"} {
		o.addNode("shed", name, uint16(20000+i))
	}
	now := time.Now()
	hour, minute := now.Add(-time.Hour), now.Add(-time.Minute)
	of := func(i int) *admin.Service { return &o.status.Services[i] }
	of(0).Canary = &admin.Canary{Every: 60, Proved: &now, Proofs: 8}
	of(1).Canary = &admin.Canary{Every: 60, Proved: &hour, Failing: "it refuses <connections>", Since: &minute, Proofs: 7, Failures: 2}
	of(2).Canary = &admin.Canary{Every: 60}
	b := o.open(t)
	show(b, "services")
	cells := func(service string) string {
		b.Until("[...document.querySelectorAll('button.row')].some((b) => b.textContent === '" + service + "')")
		return b.Run("const c = [...document.querySelectorAll('tbody tr')].find((r) => r.querySelector('button')?.textContent === '" + service + "').cells; return c[3].textContent + ': ' + c[4].textContent + ' ' + (c[4].dataset.state ?? '')")
	}
	for service, want := range map[string][2]string{
		"web": {"online: green, ", "s ago green"}, "ssh": {"failing: failing, 1 h 0 min ago failing", ""}, "photos": {"online: not yet asked", " "}, "mail": {"online: ", " "},
	} {
		if got := cells(service); !strings.HasPrefix(got, want[0]) || !strings.HasSuffix(got, want[1]) {
			t.Errorf("%s has %q", service, got)
		}
	}
	before := cells("web")
	o.change(func() { of(0).Canary.Failing, of(0).Canary.Since = "it refuses connections", &now })
	await(t, func() bool { return strings.HasPrefix(cells("web"), "failing: failing, ") && before != cells("web") })
	press(b, "ssh")
	b.Shows("failing for 1 min")
	b.Shows("it refuses <connections>")
	b.Shows("7 of 9, every 60 s")
}

// TestHostileNames: what nodes and visitors call themselves is shown as it is, and runs nothing.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	const script, image = `<script>window.taken = 1</script>`, `"><img src=x onerror="window.taken = 2">`
	node := o.addNode(script, image, 20000)
	o.change(func() {
		o.nodes[0].Version, o.nodes[0].Connection.Address = image, image
		o.status.Version, o.status.Address = script, image
		s := &o.status.Services[0]
		s.Domain, s.Origin, s.Members = image, "javascript:window.taken=3", []admin.Member{{Node: node.ID, Name: script, Service: image, State: script}}
		s.Refused = quicproxy.Refused{Rate: 1}
		o.status.Counters.RefusedBy = map[string]uint64{script: 1, "__proto__": 2}
		o.status.Logins = map[string]map[string]uint64{image: {script: 3}}
		o.relays = []admin.Relay{{Name: script, Relay: live.Relay{Node: node.ID, Service: image, Client: script, State: image}}}
	})
	o.log.Warn(script, "name", image, script, script, "long", strings.Repeat("x", 5000))
	b := o.open(t)
	b.Shows(image)
	o.totals.Add(lease.Key{Node: node.ID, Service: image}, usage.Counts{In: 1})
	for _, name := range []string{"nodes", "services", "visitors", "totals", "events"} {
		show(b, name)
		b.Until("document.querySelector('button.row')")
		b.Click("button.row")
		b.Until("document.querySelector('dialog')")
		b.Shows(script)
		press(b, "Close")
	}
	show(b, "limits")
	b.Shows(script)
	if got := b.Run("return String(window.taken) + document.querySelectorAll('main img, main script').length"); got != "undefined0" {
		t.Errorf("a name did something: %s", got)
	}
	if got := b.Run("try { document.body.innerHTML = '<b>'; return 'it may' } catch (e) { return e.name }"); got != "TypeError" {
		t.Errorf("text can become HTML: %s", got)
	}
	b.Console() // has that attempt
	if got := b.Run("try { const s = document.createElement('div'); s.setAttribute('onclick', 'window.taken = 4'); s.click() } catch {} return String(window.taken)"); got != "undefined" {
		t.Errorf("a script in HTML runs: %s", got)
	}
	b.Console()
}

// TestPhone: nothing is wider than a phone, in no view and no dialog.
func TestPhone(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.populate()
	o.addNode(strings.Repeat("long-name-", 6), strings.Repeat("service", 9), 20050)
	o.log.Info("node connected", "name", strings.Repeat("x", 300))
	b := o.open(t)
	screen(b, 360, 640)
	for _, name := range []string{"overview", "nodes", "services", "visitors", "totals", "limits", "events"} {
		show(b, name)
		b.Until("document.querySelector('button.row, canvas, meter')")
		b.Run("document.querySelector('main summary')?.click(); return ''")
		fits(t, b, name)
		if b.Run("return String(document.querySelectorAll('button.row').length)") == "0" {
			continue
		}
		b.Click("button.row")
		b.Until("document.querySelector('dialog')")
		fits(t, b, "a dialog of "+name)
		press(b, "Close")
	}
	show(b, "nodes")
	press(b, "Invite")
	fits(t, b, "to invite")
	b.Click("dialog form button[type=submit]")
	b.Until("document.querySelector('dialog img')?.complete")
	fits(t, b, "an invitation")
	press(b, "Close")
	b.Click("#logout")
	b.Shows("Log in")
	fits(t, b, "to log in")
}

// fits reports what is wider than the screen of a phone.
func fits(t *testing.T, b *chromium.Browser, what string) {
	t.Helper()
	var widths []float64
	b.RunFor(`const over = [...document.querySelectorAll('.scroll, dialog, .body')].filter((e) => e.scrollWidth > e.clientWidth).length;
		return [document.documentElement.scrollWidth, innerWidth, over]`, &widths)
	if widths[0] > 360 || widths[1] != 360 || widths[2] > 0 {
		t.Errorf("%s: the page is %v pixels wide in %v, %v parts are wider than their place", what, widths[0], widths[1], widths[2])
	}
}

// TestTheme: the page is dark or light as the person prefers, or has switched; text has contrast.
func TestTheme(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.populate()
	b := o.open(t)
	background := func() string { return b.Run("return getComputedStyle(document.body).backgroundColor") }
	prefer(b, "dark")
	dark := background()
	prefer(b, "light")
	light := background()
	if dark == light {
		t.Errorf("dark and light are %s", dark)
	}
	for _, want := range []string{light, dark, light} { // light, dark, as the system
		b.Click("#theme")
		if got := background(); got != want {
			t.Errorf("%s: the page is %s, want %s", b.Run("return document.getElementById('theme').textContent"), got, want)
		}
	}
	show(b, "nodes")
	b.Shows("attic-pi")
	for _, scheme := range []string{"dark", "light"} {
		prefer(b, scheme)
		var worst struct {
			Ratio float64
			Text  string
		}
		b.RunFor(contrast, &worst)
		if worst.Ratio < 4.5 {
			t.Errorf("in %s, %q has a contrast of %.2f", scheme, worst.Text, worst.Ratio)
		}
	}
}

// contrast finds the text with the least contrast to what is behind it (WCAG 2.2, section 1.4.3).
const contrast = `
const light = (c) => {
	const [r, g, b] = c.match(/[\d.]+/g).map(Number).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c) && c !== 'transparent') return c; } return 'rgb(255,255,255)'; };
let worst = {Ratio: 99, Text: ''};
for (const e of document.querySelectorAll('header *, nav a, h1, main button, main span, td, th, p')) {
	if (!e.textContent.trim() || !e.checkVisibility() || e.classList.contains('hidden')) continue;
	const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
	const Ratio = (a + 0.05) / (b + 0.05);
	if (Ratio < worst.Ratio) worst = {Ratio, Text: e.textContent.slice(0, 40)};
}
return worst`

// TestNobodyLooks: a page that is hidden asks for nothing, and goes on when it is seen again.
func TestNobodyLooks(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.populate()
	b := o.open(t)
	b.Run("const wait = setTimeout; window.setTimeout = (act, time) => wait(act, time === 10000 ? 500 : time); return ''") // the totals
	for _, view := range []struct{ name, path string }{{"visitors", "relays"}, {"totals", "totals"}, {"events", "events"}} {
		show(b, view.name)
		before := o.times(view.path)
		await(t, func() bool { return o.times(view.path) > before || view.name == "events" && before > 0 })
		hide(b, true)
		time.Sleep(300 * time.Millisecond) // what was on its way
		before = o.times(view.path)
		time.Sleep(2500 * time.Millisecond)
		if n := o.times(view.path) - before; n > 0 {
			t.Errorf("%s: hidden, it asked %d times", view.name, n)
		}
		hide(b, false)
		await(t, func() bool { return o.times(view.path) > before })
	}
	show(b, "overview")
	before := o.times("nodes") + o.times("relays")
	time.Sleep(1500 * time.Millisecond)
	if n := o.times("nodes") + o.times("relays") - before; n > 0 {
		t.Errorf("a view that is left asks %d times", n)
	}
}

// hide has the page believe that nobody sees it, or that somebody does again.
func hide(b *chromium.Browser, hidden bool) {
	b.Run(fmt.Sprintf("Object.defineProperty(document, 'hidden', {value: %t, configurable: true}); document.dispatchEvent(new Event('visibilitychange')); return ''", hidden))
}

// await returns once something is true.
func await(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not become true")
		}
	}
}

// TestManyNodes: 5000 nodes are listed, sorted and searched, and scrolled through without a stutter.
func TestManyNodes(t *testing.T) {
	t.Parallel()
	const many = 5000
	o := newOwned(t)
	for i := range many {
		o.addNode(fmt.Sprintf("node-%04d", i), "web", uint16(20000+i))
	}
	b := o.open(t)
	b.Tool("Performance.enable", map[string]any{"timeDomain": "threadTicks"}, nil)
	cpu := func() (seconds float64) {
		var metrics struct {
			Metrics []struct {
				Name  string
				Value float64
			}
		}
		b.Tool("Performance.getMetrics", nil, &metrics)
		for _, m := range metrics.Metrics {
			if m.Name == "TaskDuration" {
				return m.Value
			}
		}
		t.Fatal("the browser does not measure tasks")
		return 0
	}
	before := cpu()
	show(b, "nodes")
	b.Shows("5,000 of 5,000 online")
	t.Logf("the first list costs %.0f ms of CPU time", 1000*(cpu()-before))
	if rows := b.Run("return String(document.querySelectorAll('tbody tr').length)"); len(rows) > 2 {
		t.Errorf("%s rows are elements", rows)
	}
	worst := 0.0
	for i := range 40 {
		before := cpu()
		b.RunFor(fmt.Sprintf("const s = document.querySelector('.scroll'); s.scrollTop = s.scrollHeight * %d / 40; return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))", i), new(any))
		worst = max(worst, cpu()-before)
	}
	if t.Logf("a step of scrolling costs at most %.0f ms of CPU time", 1000*worst); worst > 0.2 {
		t.Errorf("a step of scrolling costs %.0f ms of CPU time", 1000*worst)
	}
	b.Run("document.querySelector('.scroll').scrollTop = 1e9; return ''")
	b.Shows("node-4999")
	if got := b.Run("return document.querySelector('table').getAttribute('aria-rowcount') + ' ' + [...document.querySelectorAll('tbody tr[aria-rowindex]')].pop().getAttribute('aria-rowindex')"); got != "5001 5001" {
		t.Errorf("a screen reader hears of the rows %s", got)
	}
	before = cpu()
	b.Write(".search", "node-4321")
	b.Until("document.querySelectorAll('button.row').length === 1")
	b.Shows("node-4321")
	t.Logf("a search costs %.0f ms of CPU time", 1000*(cpu()-before))
	show(b, "services")
	b.Shows("5,000 services")
	began := time.Now()
	o.passed(30)
	t.Logf("30 days of totals are made in %v", time.Since(began))
	before = cpu()
	show(b, "totals")
	b.Shows("the first 1,000 of 5,000 rows")
	t.Logf("the totals cost %.0f ms of CPU time", 1000*(cpu()-before))
	for _, by := range []string{"day", "node"} {
		began := time.Now()
		if _, err := o.ListTotals(t.Context(), admin.Selection{By: by}); err != nil {
			t.Error(err)
		}
		t.Logf("an answer by %s takes %v", by, time.Since(began))
	}
}
