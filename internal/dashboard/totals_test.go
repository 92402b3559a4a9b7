//go:build linux

package dashboard

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/usage"
	"apquic/lease"
)

// ListTotals asks the real file; only the names are those of this server.
func (o *owned) ListTotals(ctx context.Context, which admin.Selection) (admin.Totals, error) {
	authority := &admin.Authority{Nodes: certs.NewAuthorizedNodes(filepath.Join(o.folder, "nodes")), Totals: o.totals}
	t, err := authority.ListTotals(ctx, which)
	o.mu.Lock()
	defer o.mu.Unlock()
	names := make(map[certs.NodeID]string)
	for _, n := range o.nodes {
		names[n.ID] = n.Name
	}
	for i := range t.Rows {
		t.Rows[i].Name = names[t.Rows[i].Node]
	}
	return t, err
}

// passed has something pass through all services on each of the last days.
func (o *owned) passed(days int) {
	now := time.Now()
	for ago := days - 1; ago >= 0; ago-- {
		o.totals.Keep(now.AddDate(0, 0, -ago))
		for i, s := range o.status.Services {
			n := uint64(1 + (i*7+ago*5)%11 + 3*((ago+now.Day())%7))
			o.totals.Add(lease.Key{Node: s.Node, Service: s.Service}, usage.Counts{In: n << 18, Out: n << 22, Connections: 4 * n, Refused: n / 5})
		}
	}
	o.totals.Keep(now)
}

// TestTotals: what has passed on each day is shown as bars and as a table, of all, of a node and of a service, and how much
// of its month a node has used; it follows what passes.
func TestTotals(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	shed := o.addNode("shed-pi", "web", 20000)
	boat := o.addNode("boat", "web", 20001)
	web, ssh := lease.Key{Node: shed.ID, Service: "web"}, lease.Key{Node: shed.ID, Service: "ssh"}
	now := time.Now().UTC()
	for _, n := range []int{40, 29, 1} { // days ago
		o.totals.Keep(now.AddDate(0, 0, -n))
		o.totals.Add(web, usage.Counts{In: 1e6, Out: 9e6, Connections: 5})
		o.totals.Add(lease.Key{Node: boat.ID, Service: "web"}, usage.Counts{In: 500e6, Refused: 7})
	}
	o.totals.Keep(now)
	o.totals.Add(ssh, usage.Counts{Out: 300e6, Flows: 2})
	o.totals.Add(lease.Key{Service: "family"}, usage.Counts{Out: 1e6})
	b := o.open(t)
	b.Run("const wait = setTimeout; window.setTimeout = (act, time) => wait(act, time === 10000 ? 500 : time); return ''")
	show(b, "totals")
	b.Shows("Today 301 MB")
	b.Shows("on the last 30 days 1.32 GB")
	b.Until("document.querySelectorAll('figure canvas').length === 2")
	drawn := func() string {
		return b.Run("return [...document.querySelectorAll('figure canvas')].map((c) => c.toDataURL()).join(' ')")
	}
	empty := b.Run("const c = document.querySelector('figure canvas').cloneNode(); return c.toDataURL()")
	b.Until("[...document.querySelectorAll('figure canvas')].every((c) => c.toDataURL() !== '" + empty + "')")
	if got := b.Run("return [...document.querySelectorAll('.plot')].map((p) => p.getAttribute('role') + ' ' + p.getAttribute('aria-label')).join()"); !strings.Contains(got, "img Chart: Bytes of each day; the table has its numbers") {
		t.Errorf("a screen reader hears %s", got)
	}
	b.Click("main summary")
	day := func(ago int) string {
		return b.Run(fmt.Sprintf("const r = document.querySelectorAll('table.small tbody tr')[%d]; return r.checkVisibility() + ' ' + [...r.cells].map((c) => c.textContent).join()", ago))
	}
	for ago, want := range map[int]string{0: "0 B,301 MB,0,2,0", 1: "501 MB,9.00 MB,5,0,7", 2: "0 B,0 B,0,0,0", 29: "501 MB,9.00 MB,5,0,7"} {
		if got, want := day(ago), "true "+now.AddDate(0, 0, -ago).Format(time.DateOnly)+","+want; got != want {
			t.Errorf("%d days ago: %s, want %s", ago, got, want)
		}
	}
	if n := b.Run("return String(document.querySelectorAll('table.small tbody tr').length)"); n != "30" {
		t.Errorf("%s days", n)
	}
	rows := func() string {
		return b.Run("return [...document.querySelectorAll('.scroll tbody tr:not(.space)')].map((r) => [...r.cells].slice(0, 3).map((c) => c.textContent).join()).join(' ')")
	}
	b.Shows("3 rows")
	if got, want := rows(), "boat,all,1.00 GB shed-pi,all,320 MB groups,all,1.00 MB"; got != want {
		t.Errorf("by node: %s, want %s", got, want)
	}
	b.Run("const s = document.querySelector('main select'); s.value = 'node,service'; s.dispatchEvent(new Event('change')); return ''")
	b.Shows("4 rows")
	if got, want := rows(), "boat,web,1.00 GB shed-pi,ssh,300 MB shed-pi,web,20.0 MB groups,family,1.00 MB"; got != want {
		t.Errorf("by service: %s, want %s", got, want)
	}
	o.totals.Add(web, usage.Counts{Out: 400e6})
	b.Shows("Today 701 MB")
	before := drawn()
	o.totals.Add(web, usage.Counts{Out: 3000e6})
	b.Shows("Today 3.70 GB")
	if drawn() == before {
		t.Error("the bars do not follow")
	}

	show(b, "nodes")
	press(b, "shed-pi")
	b.Shows("of 1.50 GB, by family: all are used")
	press(b, "Totals")
	b.Shows("Today 3.70 GB")
	if got := b.Run("return String([...document.querySelectorAll('dialog')].pop().querySelector('meter').value)"); got != "1" {
		t.Errorf("the meter of the month is at %s", got)
	}
	press(b, "Close")
	press(b, "Close")
	press(b, "boat")
	b.Shows("of 1.50 GB, by family")
	b.Hides("all are used")
	press(b, "Close")
	show(b, "services")
	press(b, "web")
	press(b, "Totals")
	b.Until("[...document.querySelectorAll('dialog')].pop().querySelectorAll('table tbody tr').length === 30")
}
