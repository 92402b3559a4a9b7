//go:build linux

package dashboard

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/chromium"
	"apquic/lease"
	"apquic/quicproxy/live"
)

// pictures is where those of the documents are.
const pictures = "../../docs/images"

// screen sets the size of the page.
func screen(b *chromium.Browser, width, height int) {
	b.Tool("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
}

// prefer sets the colours that the person prefers.
func prefer(b *chromium.Browser, scheme string) {
	b.Tool("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// populate makes a server as a family and a club may have one.
func (o *owned) populate() {
	for i, name := range []string{"attic-pi", "boat", "cabin", "club-house", "garage", "greenhouse", "nas", "office", "parents", "shed-pi", "van", "weather"} {
		o.addNode(name, []string{"web", "ssh", "photos", "game"}[i%4], uint16(20000+i))
	}
	soon := time.Now().Add(29*time.Minute + 30*time.Second)
	away := &o.nodes[10]
	away.State, away.Connection, away.Since, away.From = admin.Away, nil, nil, ""
	o.status.Services[10].State, o.status.Services[10].HeldUntil, o.status.Services[10].Connections = admin.Away, &soon, 0
	o.nodes[5].State, o.nodes[5].Connection, o.nodes[5].Since, o.nodes[5].From = admin.SentAway, nil, nil, ""
	o.status.Services = append(o.status.Services, admin.Service{Node: idOf(6), Name: "nas", Service: "cloud", Domain: "cloud.example.com", Transport: lease.TCP, State: admin.Online, Connections: 3, In: 9 << 20, Out: 700 << 20})
	o.status.Domains, o.status.Connections, o.status.Flows, o.status.Online, o.status.Outside = 1, 23, 4, 10, 9
	since := time.Now().Add(-76 * time.Hour)
	o.status.Since = &since
	*o.status.Counters = admin.Counters{Connections: 48211, In: 3 << 30, Out: 92 << 30, Refused: 312, RefusedBy: map[string]uint64{"rate": 180, "node away": 97, "no such name": 35}, DatagramsDropped: map[string]uint64{"queue full": 12}}
	*o.status.Budgets = live.Budgets{Memory: live.Usage{Used: 37 << 20, Limit: 256 << 20}, Clients: live.Usage{Used: 35, Limit: 20000}, Flows: live.Usage{Used: 4, Limit: 4096}, Files: live.Usage{Used: 91, Limit: 1024}}
	for i := range 14 {
		began := time.Now().Add(-time.Duration(i*i*11) * time.Second)
		s := o.status.Services[i%4]
		o.relays = append(o.relays, admin.Relay{Name: s.Name, Relay: live.Relay{Node: s.Node, Service: s.Service, Port: s.Port, Client: "203.0.113." + string(rune('1'+i%9)) + ":5100" + string(rune('0'+i%10)), Since: began, State: "running", In: uint64(i) << 12, Out: uint64(i) << 19}})
	}
	o.flows = []admin.Flow{{Name: "boat", Flow: live.Flow{Node: idOf(1), Service: "game", Port: 20003, Client: "203.0.113.9:6000", Since: time.Now().Add(-time.Minute), In: 3000, Out: 90000, Answered: true}}}
	o.passed(31)
	o.invited = []certs.OpenInvitation{{Name: "lake-house", Uses: 1, Expires: time.Now().Add(100 * time.Hour), Created: time.Now()}}
}

// flowing lets bytes go through the server until the end of the test.
func (o *owned) flowing(t *testing.T) {
	often(t, func(i int) {
		o.change(func() {
			c, n := o.status.Counters, uint64(200000+150000*(i/7%4)+i%5*20000)
			c.In, c.Out, c.Connections = c.In+n/6, c.Out+n, c.Connections+1
			for i := range o.relays {
				o.relays[i].Out += n / uint64(i+2)
			}
			if len(o.status.Services) > 0 {
				o.status.Services[0].Out += n
			}
		})
	})
}

// TestPictures makes the pictures of the documents, if APQUIC_PICTURES is set.
func TestPictures(t *testing.T) {
	if os.Getenv("APQUIC_PICTURES") == "" {
		t.Skip("APQUIC_PICTURES is not set")
	}
	o := newOwned(t)
	o.populate()
	o.flowing(t)
	b := o.open(t)
	take := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(pictures, name+".png"), b.Screenshot(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	prefer(b, "light")
	screen(b, 1100, 620)
	time.Sleep(time.Minute) // the charts fill
	take("dashboard-overview-light")
	prefer(b, "dark")
	take("dashboard-overview-dark")
	show(b, "nodes")
	b.Shows("shed-pi")
	take("dashboard-nodes-dark")
	prefer(b, "light")
	show(b, "totals")
	b.Shows("12 rows")
	take("dashboard-totals-light")
	press(b, "shed-pi")
	b.Shows("by family")
	screen(b, 1100, 860)
	time.Sleep(time.Second)
	take("dashboard-totals-node-light")
	press(b, "Close")
	screen(b, 1100, 620)
	show(b, "nodes")
	press(b, "Invite")
	b.Write("input[name=name]", "lake-house")
	b.Click("dialog form button[type=submit]")
	b.Until("document.querySelector('dialog img')?.complete")
	take("dashboard-invitation-light")
	press(b, "Close")
	screen(b, 360, 640)
	take("dashboard-nodes-phone")
}

// TestNodePictures makes those of a node.
func TestNodePictures(t *testing.T) {
	if os.Getenv("APQUIC_PICTURES") == "" {
		t.Skip("APQUIC_PICTURES is not set")
	}
	o := newOwnedNode(t)
	o.flowing(t)
	b := o.open(t)
	prefer(b, "light")
	screen(b, 1100, 800)
	b.Shows("photos.example.org")
	time.Sleep(time.Minute) // the charts fill
	for _, picture := range []struct {
		name, scheme  string
		width, height int
	}{{"dashboard-node-light", "light", 1100, 800}, {"dashboard-node-phone", "dark", 360, 640}} {
		prefer(b, picture.scheme)
		screen(b, picture.width, picture.height)
		time.Sleep(time.Second)
		if err := os.WriteFile(filepath.Join(pictures, picture.name+".png"), b.Screenshot(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// often calls do again and again until the end of the test.
func often(t *testing.T, do func(i int)) {
	end, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(end); <-ended })
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			do(i)
		}
	}()
}
