package admin

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/monitor"
	"apquic/internal/monitor/monitortest"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
)

// TestMetrics: what a server says at /metrics is what its status has, under names that keep the conventions and are in
// the document.
func TestMetrics(t *testing.T) {
	t.Parallel()
	core, log := new(fakeCore), new(strings.Builder)
	a := newAuthority(t, core, log)
	id, other := newID(t), newID(t)
	for name, id := range map[string]certs.NodeID{"shed": id, "attic": other} {
		if _, err := a.Allow(t.Context(), AllowRequest{ID: id.String(), Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	stranger := newID(t)
	core.mu.Lock()
	core.status = server.Status{
		Since: time.Now(),
		Sessions: []server.SessionStatus{
			{Node: id, Primary: true, Relays: 3, Since: time.Now(), Path: live.Path{RTT: 18 * time.Millisecond, Sent: 1000, Lost: 2}},
			{Node: stranger, Primary: true, Since: time.Now()},
		},
		Canaries: map[lease.Key]live.Canary{{Node: id, Service: "ssh"}: {Every: time.Minute, Last: time.Now().Add(-30 * time.Second), Proofs: 8, Failures: 2}},
		Private:  map[lease.Key]server.Traffic{{Node: id, Service: "ssh"}: {Clients: 1, ToNode: 10, FromNode: 20, Flows: 4, Refused: quicproxy.Refused{Rate: 5, Networks: 1}}},
	}
	core.mu.Unlock()
	config := a.Monitored(func() bool { return true })
	collect := config.Collect
	page := monitortest.Scrape(t, config)
	for _, line := range []string{
		`apquic_server_nodes{state="online"} 2`, `apquic_server_nodes{state="away"} 1`, `apquic_server_node_online{node="shed"} 1`, `apquic_server_node_online{node="attic"} 0`,
		`apquic_server_node_online{node="(other)"} 1`, `apquic_server_node_rtt_seconds{node="shed"} 0.018`, `apquic_server_node_relays{node="shed"} 3`,
		`apquic_server_node_lost_packets_total{node="shed"} 2`, `apquic_server_service_received_bytes_total{node="shed",service="ssh"} 10`,
		`apquic_server_service_sent_bytes_total{node="shed",service="ssh"} 20`, `apquic_server_service_refused_total{node="shed",service="ssh"} 6`,
		`apquic_server_service_canary_up{node="shed",service="ssh"} 1`, `apquic_server_service_proofs_total{node="shed",service="ssh"} 8`, `apquic_server_service_failed_canaries_total{node="shed",service="ssh"} 2`,
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s in\n%s", line, page)
		}
	}
	if !strings.Contains(page, "\n"+`apquic_server_service_proof_age_seconds{node="shed",service="ssh"} 30.`) {
		t.Errorf("no age of the proof in\n%s", page)
	}
	config.Collect = func(ctx context.Context, page *monitor.Page) error {
		tellServer(page, Status{
			Budgets: &live.Budgets{Memory: live.Usage{Used: 7, Limit: 8}}, Logins: map[string]map[string]uint64{"a.example": {"password": 1}, "b.example": {"password": 2}},
			Counters: &Counters{
				Connections: 1, RefusedBy: map[string]uint64{"full": 3}, DatagramsDropped: map[string]uint64{"away": 4},
				Lasted: live.Histogram{Bounds: []float64{1}, Counts: []uint64{1, 2}, Sum: 9}, RTTs: live.Histogram{Bounds: []float64{1}, Counts: []uint64{1, 0}, Sum: 0.5},
			},
		})
		return collect(ctx, page)
	}
	page = monitortest.Scrape(t, config)
	for _, line := range []string{
		`apquic_server_relays_total 1`, `apquic_server_memory_limit_bytes 8`, `apquic_server_refused_total{reason="full"} 3`, `apquic_server_refused_logins_total{reason="password"} 3`,
		`apquic_server_dropped_datagrams_total{reason="away"} 4`, `apquic_server_relay_duration_seconds_bucket{le="+Inf"} 3`, `apquic_server_relay_rtt_seconds_sum 0.5`,
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s in\n%s", line, page)
		}
	}
	monitortest.Documented(t, page, "../docs/metrics.md", "apquic_server_")
}

// TestServerReady: a server is ready between its start and its stop, while something fits.
func TestServerReady(t *testing.T) {
	t.Parallel()
	core := new(fakeCore)
	a := newAuthority(t, core, new(strings.Builder))
	serving := false
	ready := a.Monitored(func() bool { return serving }).Ready
	for _, step := range []struct {
		serving bool
		budgets live.Budgets
		want    bool
	}{
		{false, live.Budgets{}, false},
		{true, live.Budgets{}, true},
		{true, live.Budgets{Clients: live.Usage{Used: 9, Limit: 10}, Files: live.Usage{Used: 9, Limit: 10}}, true},
		{true, live.Budgets{Clients: live.Usage{Used: 10, Limit: 10}}, false},
		{true, live.Budgets{Files: live.Usage{Used: 10, Limit: 10}}, false},
		{false, live.Budgets{}, false},
	} {
		core.mu.Lock()
		serving, core.status = step.serving, server.Status{Budgets: step.budgets}
		core.mu.Unlock()
		if err := ready(t.Context()); (err == nil) != step.want {
			t.Errorf("%+v: %v", step, err)
		}
	}
}

// readiness returns how a real server with 5000 leases answers whether it is ready.
func readiness(t testing.TB) (ready func(context.Context) error) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	store := lease.NewMemoryStore()
	for i := range 5000 {
		owner := lease.Key{Node: certs.NodeID{byte(i), byte(i >> 8), 1}, Service: "web"}
		reserved := lease.Lease{Key: owner, Port: uint16(20000 + i), HeldUntil: time.Now().Add(time.Hour), Reserved: true} // takes no socket
		if _, err := store.Put(t.Context(), reserved); err != nil {
			t.Fatal(err)
		}
	}
	ports, err := lease.ParsePortRange("20000-24999")
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Key: key, PacketConn: conn, Store: store, Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	for deadline := time.Now().Add(time.Minute); len(s.Status().Leases) < 5000; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not read its leases")
		}
	}
	return (&Authority{Core: Running{s}}).Monitored(func() bool { return true }).Ready
}

// TestReadyIsCheap: strangers may ask whether a server is ready, so that costs no copy of what all nodes have.
func TestReadyIsCheap(t *testing.T) {
	ready := readiness(t)
	const times = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if err := ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if bytes := (after.TotalAlloc - before.TotalAlloc) / times; bytes > 32<<10 {
		t.Errorf("%d bytes to say whether a server with 5000 leases is ready", bytes)
	}
}

// BenchmarkReady is what /readyz costs a server with 5000 leases, once a second at most.
func BenchmarkReady(b *testing.B) {
	ready := readiness(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := ready(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// TestStrangersTakeNoPlace: nodes that nobody knows do not take the numbers of those that the operator does, however many
// they are, and have none of their own: there could be others at each scrape.
func TestStrangersTakeNoPlace(t *testing.T) {
	t.Parallel()
	core := new(fakeCore)
	a := newAuthority(t, core, new(strings.Builder))
	known := newID(t)
	if _, err := a.Allow(t.Context(), AllowRequest{ID: known.String(), Name: "zz"}); err != nil {
		t.Fatal(err)
	}
	core.mu.Lock()
	for i := range 2000 {
		id := certs.NodeID{byte(i), byte(i >> 8), 1}
		core.status.Sessions = append(core.status.Sessions, server.SessionStatus{Node: id, Primary: true})
		core.status.Leases = append(core.status.Leases, lease.Lease{Key: lease.Key{Node: id, Service: "web"}, Port: uint16(i + 1)})
	}
	core.status.Leases = append(core.status.Leases, lease.Lease{Key: lease.Key{Node: known, Service: "web"}, Port: 9999})
	core.mu.Unlock()
	page := monitortest.Scrape(t, a.Monitored(func() bool { return true }))
	for _, line := range []string{`apquic_server_node_online{node="zz"} 0`, `apquic_server_service_up{node="zz",service="web"} 0`, `apquic_server_node_online{node="(other)"} 2000`} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	if n := strings.Count(page, "\napquic_server_"); n > 2*(len(nodeMetrics)+1+len(serviceMetrics))+60 {
		t.Errorf("%d series", n)
	}
}

// BenchmarkScrape is one with 5000 nodes that have a service each.
func BenchmarkScrape(b *testing.B) {
	core := new(fakeCore)
	for i := range 5000 {
		id := certs.NodeID{byte(i), byte(i >> 8), 1}
		core.status.Sessions = append(core.status.Sessions, server.SessionStatus{Node: id, Primary: true})
		core.status.Leases = append(core.status.Leases, lease.Lease{Key: lease.Key{Node: id, Service: "web"}, Port: uint16(i + 1)})
	}
	a := &Authority{
		Nodes: certs.NewAuthorizedNodes(filepath.Join(b.TempDir(), "authorized_nodes")), Core: core, Version: "apquic-server 1",
		Address: func() (string, uint16, error) { return "tunnel.example.com", 8090, nil },
	}
	handler := monitor.Beside(http.NotFoundHandler(), a.Monitored(func() bool { return true }))
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, monitor.Path, nil))
	}
}
