package show

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/table"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
)

func TestTables(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)
	since := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	id := certs.NodeID{1}
	long := strings.Repeat("long", 40)
	status := admin.Status{
		Running: true, Since: since(6*24*time.Hour + 3*time.Hour + 59*time.Minute), Address: "tunnel.example.com:8090", Used: 3, Ports: 2001,
		Nodes: 3, Online: 2, Outside: 1, LastOutside: since(2 * time.Hour),
		Counters: &admin.Counters{Connections: 12345, In: 31e9, Out: 1.1e9, Refused: 12, RefusedBy: map[string]uint64{"network": 9, "away": 3}},
		Budgets:  &live.Budgets{Memory: live.Usage{Used: 12, Limit: 100}, Clients: live.Usage{Used: 1, Limit: 4000}},
		Services: []admin.Service{
			{Node: id, Name: "mums-nas", Service: "files", Port: 20001, State: admin.Away, HeldUntil: since(-time.Hour)},
			{Node: id, Name: "shed-pi", Service: "ssh", Port: 20022, State: admin.Online, Since: since(50 * time.Hour), Connections: 1, In: 14_200_000, Out: 2_000_000, Hostname: long + ".example.net",
				Refused: quicproxy.Refused{Networks: 9}},
			{Node: id, Name: "a-name-that-is-much-too-long", Service: "a-service-with-a-long-name", Port: 20000, State: admin.Online, Since: since(2 * time.Hour), Connections: 1200, In: 1_100_000_000, Out: 31_000_000_000, Origin: "tcp://" + long},
			{Service: "photos", Port: 20003, State: admin.Online, Connections: 5, Members: []admin.Member{
				{Node: id, Name: "shed-pi", Service: "web", State: admin.Online, Clients: 5}, {Node: id, Service: "a-service-with-a-long-name", State: admin.Online, Unhealthy: true},
			}},
			{Node: id, Name: "esc\x1b[2J", Service: "web", Domain: long + ".example.org", State: admin.SentAway},
			{Node: id, Name: "shed-pi", Service: "private-one", Private: true, State: admin.Online, Since: since(time.Hour)},
		},
	}
	nodes := []admin.Node{
		{ID: id, State: admin.Online, Since: since(time.Minute), From: "2001:db8:1111:2222:3333:4444:5555:6666", Connection: &admin.Connection{RTT: 18.04, Sent: 1000, Lost: 2, Moves: 3, Relays: 7}},
		{ID: id, Name: "shed-pi", State: admin.Away, Services: 2}, {ID: id, Name: "deaf", State: admin.Online, Since: since(time.Hour), Connection: &admin.Connection{Silent: true}},
	}
	relays := admin.Page[admin.Relay]{Total: 4200, Rows: []admin.Relay{
		{Name: "shed-pi", Relay: live.Relay{Node: id, Service: "web", Client: "198.51.100.7:4711", Since: *since(time.Minute), In: 5, Out: 1e6, State: "running", Resumed: 2}},
		{Relay: live.Relay{Service: "\x1b]0;x\x07" + long, Client: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", Since: now, State: "waiting"}},
	}}
	flows := admin.Page[admin.Flow]{Total: 1, Rows: []admin.Flow{{Name: "shed-pi", Flow: live.Flow{Node: id, Service: "dns", Client: "198.51.100.7:53", Since: *since(time.Minute), In: 5, Out: 53, Idle: 3.5, Answered: true}}}}
	busy := Compare(Sample{At: now, Services: status.Services, Nodes: nodes}, Sample{At: now.Add(2 * time.Second), Services: grown(status.Services, 1000), Nodes: nodes})
	text := func(rows [][]string) string {
		var b strings.Builder
		table.Write(&b, rows)
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
			if strings.ContainsAny(line, "\x1b\x07") || strings.HasSuffix(line, " \n") {
				t.Errorf("%q", line)
			}
		}
		return b.String()
	}
	for _, test := range []struct {
		rows  [][]string
		parts []string
	}{
		{append(Summary(status, 1.2e6, 34e3, now), Services(status.Services, false, now)...), []string{
			"reachable    yes, at tunnel.example.com:8090; 1 from the internet, since 2 h\n", "nodes        2 of 3 online; the server is up 6 d 3 h\n",
			"ports        3 of 2001 ports in use\n", "now          1206 connections, 0 flows over UDP; 1.2 MB/s in, 34 kB/s out\n",
			"since start  12345 connections; 31 GB in, 1.1 GB out\n", "refused      12: 9 network, 3 away\n", "memory 12 %, connections <1 %",
			"mums-nas  ", "ssh  ", "20022  ", "online 2 d  1      14 MB   2.0 MB\n", "1200   1.1 GB  31 GB\n", "(group)  ", "  shed-pi  ", "unhealthy", "revoked\n", "  refused: 9 by network\n", "private  ",
		}},
		{Services(status.Services, true, now), []string{"  also longlong", "  to tcp://long", "  kept for the node until "}},
		{Services(nil, true, now), []string{"There are no services yet.\n"}},
		{Nodes(nodes, now), []string{"-        online 1 min  2001:db8:", "18 ms  0.2 %  3      7      " + id.String()[:8] + "…\n", "shed-pi  away ", "no answer  "}},
		{Nodes(nil, now), []string{"There are no nodes yet; apquic-server invite invites one.\n"}},
		{append(Relays(relays, now), Flows(flows, now)...), []string{"198.51.100.7:4711             1 min  5 B  1.0 MB  resumed 2\n", "waiting\n", "and 4198 more", "\n\nNODE  ", "1 min  5 B  53 B  3 s\n"}},
		{Relays(admin.Page[admin.Relay]{}, now), []string{"There are no connections.\n"}},
		{busy.Rows(), []string{"500 B  ", "\n\nFROM/S  "}},
		{Summary(admin.Status{Address: "h:1"}, 0, 0, now), []string{"reachable  no, the server is not running\n"}},
		{Summary(admin.Status{Running: true, Since: since(0), Address: "h:1"}, 0, 0, now), []string{"reachable  not known: no node is here; the address for nodes is h:1\n"}},
		{Summary(admin.Status{Running: true, Since: since(0), Address: "h:1", Online: 1}, 0, 0, now), []string{"reachable  at h:1; so far only nodes of this network are here\n"}},
	} {
		got := text(test.rows)
		for _, part := range test.parts {
			if !strings.Contains(got, part) {
				t.Errorf("no %q in\n%s", part, got)
			}
		}
	}
}

// grown adds bytes to all services.
func grown(services []admin.Service, bytes uint64) []admin.Service {
	services = slices.Clone(services)
	for i := range services {
		services[i].In += bytes
	}
	return services
}

func TestForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		59 * time.Second: "59 s", 23 * time.Hour: "23 h", 24 * time.Hour: "1 d", 25 * time.Hour: "1 d 1 h", 400 * 24 * time.Hour: "400 d",
	} {
		if got := forPeople(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
