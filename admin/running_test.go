package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
)

// TestRunning: what the core says of sessions, relays and flows reaches the operator with the names of the nodes, and
// the selection reaches the core.
func TestRunning(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, o Operations, core *fakeCore, log *strings.Builder) {
		ctx := t.Context()
		id, other := newID(t), newID(t)
		if _, err := o.Allow(ctx, AllowRequest{ID: id.String(), Name: "shed"}); err != nil {
			t.Fatal(err)
		}
		since := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
		core.mu.Lock()
		core.status = server.Status{
			Sessions: []server.SessionStatus{
				{Node: id, Address: "198.51.100.7:4711", Since: since, Primary: true, Relays: 3, Turn: 3, Memory: 5, Path: live.Path{
					RTT: 18 * time.Millisecond, MinRTT: 12 * time.Millisecond, Sent: 1000, Lost: 2, BytesSent: 7, BytesReceived: 8, Datagrams: true,
					Moves: 1, Moved: since, Keepalive: time.Minute, Heard: since,
				}},
				{Node: id, Lane: true, Relays: 2, Path: live.Path{BytesSent: 1, BytesReceived: 2}},
				{Node: other, Connects: true, Relays: 9},
			},
			Private: map[lease.Key]server.Traffic{{Node: id, Service: "ssh"}: {Clients: 1, ToNode: 10, FromNode: 20}},
			Leases:  []lease.Lease{{Key: lease.Key{Node: id, Service: "web"}, Port: 20000}},
			Traffic: map[lease.Endpoint]server.Traffic{{Port: 20000}: {Name: "web-abc.example.net"}},
		}
		core.relays = []live.Relay{{Node: id, Service: "web", Port: 20000, Client: "203.0.113.9:5", Since: since, In: 1, Out: 2, State: "running", Resumed: 3}, {Service: "group"}}
		core.flows = []live.Flow{{Node: id, Service: "dns", Port: 20001, Client: "203.0.113.9:6", Idle: 1.5, Answered: true}}
		core.mu.Unlock()
		nodes, err := o.ListNodes(ctx)
		if err != nil || len(nodes) != 1 {
			t.Fatalf("%+v, %v", nodes, err)
		}
		want := Connection{
			Address: "198.51.100.7:4711", RTT: 18, MinRTT: 12, Sent: 1000, Lost: 2, BytesSent: 8, BytesReceived: 10, Datagrams: true, Moves: 1,
			Returns: 2, Keepalive: 60, Lanes: 1, Relays: 5, Memory: 5,
		}
		got := *nodes[0].Connection
		if got.Moved == nil || !got.Moved.Equal(since) || got.Heard == nil {
			t.Errorf("%+v", got)
		}
		if got.Moved, got.Heard = nil, nil; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		status, err := o.Status(ctx)
		if err != nil || status.Nodes != 1 || status.Online != 1 || status.Outside != 1 || status.LastOutside == nil || !status.LastOutside.Equal(since) || len(status.Services) != 2 {
			t.Fatalf("%+v, %v", status, err)
		}
		if s := status.Services[0]; !s.Private || s.Service != "ssh" || s.State != Online || s.In != 10 || s.Out != 20 || s.Name != "shed" {
			t.Errorf("%+v", s)
		}
		if s := status.Services[1]; s.Private || s.Hostname != "web-abc.example.net" {
			t.Errorf("%+v", s)
		}
		if _, err := o.Release(ctx, ReleaseRequest{Node: "shed", Service: "ssh"}); err == nil {
			t.Error("released a private service")
		}
		relays, err := o.ListRelays(ctx, Selection{Node: "shed", Service: "web", Skip: 7, Limit: 9})
		if err != nil || relays.Total != 2 || relays.Rows[0].Name != "shed" || relays.Rows[1].Name != "" || !relays.Rows[0].Since.Equal(since) || relays.Rows[0].Resumed != 3 {
			t.Errorf("%+v, %v", relays, err)
		}
		if core.selected != (live.Selection{Node: id, Service: "web", Skip: 7, Limit: 9}) {
			t.Errorf("%+v", core.selected)
		}
		flows, err := o.ListFlows(ctx, Selection{})
		if err != nil || flows.Total != 1 || flows.Rows[0].Flow != core.flows[0] || core.selected != (live.Selection{}) {
			t.Errorf("%+v, %v", flows, err)
		}
		if _, err := o.ListRelays(ctx, Selection{Node: "nobody"}); err == nil {
			t.Error("relays of nobody")
		}
		kicked, err := o.Kick(ctx, KickRequest{Node: "shed"})
		if err != nil || kicked.Name != "shed" || kicked.Connections != 5 || len(core.kicked) != 1 || core.kicked[0] != id || strings.Count(log.String(), "event=kick ") != 1 {
			t.Errorf("%+v, %v", kicked, err)
		}
		core.mu.Lock()
		core.status.Sessions = nil
		core.mu.Unlock()
		if _, err := o.Kick(ctx, KickRequest{Node: "shed"}); err == nil {
			t.Error("kicked who is away")
		}
	})
}

// TestSelectionQuery: a query with a mistake selects nothing, rather than everything.
func TestSelectionQuery(t *testing.T) {
	t.Parallel()
	handler := Handler(newAuthority(t, new(fakeCore), io.Discard))
	for query, want := range map[string]int{
		"": 200, "?skip=1&limit=2": 200, "?skip=x": 400, "?serivce=web": 400, "?node=": 200, "?limit=9999999999999999999": 400, "?node=%1b": 422,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/relays"+query, nil))
		if w.Code != want {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
}

// manyNodes is an Authority of a server with so many nodes, which are all here and have a service each.
func manyNodes(tb testing.TB, count int) *Authority {
	tb.Helper()
	core := new(fakeCore)
	core.status.Traffic = make(map[lease.Endpoint]server.Traffic)
	var lines bytes.Buffer
	for i := range count {
		id := certs.NodeID{1, byte(i), byte(i >> 8)}
		fmt.Fprintf(&lines, "%v node-%d\n", id, i)
		core.status.Sessions = append(core.status.Sessions, server.SessionStatus{Node: id, Primary: true, Since: time.Now(), Address: "198.51.100.7:4711"})
		core.status.Leases = append(core.status.Leases, lease.Lease{Key: lease.Key{Node: id, Service: "web"}, Port: uint16(20000 + i)})
	}
	a := &Authority{Core: core, Log: slog.New(slog.DiscardHandler), Address: func() (string, uint16, error) { return "h", 1, nil }}
	directory := tb.TempDir()
	if err := os.WriteFile(directory+"/authorized_nodes", lines.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
	a.Nodes, a.Invitations = certs.NewAuthorizedNodes(directory+"/authorized_nodes"), certs.NewInvitations(directory+"/invitations")
	return a
}

// TestManyNodes: lists of 5000 nodes are complete, and cost what grows with their number and no faster.
func TestManyNodes(t *testing.T) {
	a := manyNodes(t, 5000)
	w := httptest.NewRecorder()
	Handler(a).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/nodes", nil))
	var nodes []Node
	if err := json.Unmarshal(w.Body.Bytes(), &nodes); err != nil || len(nodes) != 5000 || nodes[4999].Connection == nil {
		t.Errorf("%d nodes, %v", len(nodes), err)
	}
	for query, want := range map[string]int{"?limit=10": 10, "?skip=4995": 5, "?skip=4998&limit=10": 2, "?skip=9999": 0, "?skip=-1": 5000} {
		w := httptest.NewRecorder()
		Handler(a).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/nodes"+query, nil))
		if err := json.Unmarshal(w.Body.Bytes(), &nodes); err != nil || len(nodes) != want {
			t.Errorf("%s: %d nodes, %v", query, len(nodes), err)
		}
	}
	status, err := a.Status(t.Context())
	if err != nil || len(status.Services) != 5000 || status.Online != 5000 {
		t.Errorf("%d services, %d nodes, %v", len(status.Services), status.Online, err)
	}
	few, many := manyNodes(t, 500), a
	allocations := func(a *Authority) float64 {
		return testing.AllocsPerRun(1, func() {
			w := httptest.NewRecorder()
			Handler(a).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/nodes", nil))
		})
	}
	if less, more := allocations(few), allocations(many); more > 12*less {
		t.Errorf("%v allocations for ten times the nodes of %v", more, less)
	}
}

// BenchmarkNodes lists 5000 nodes as JSON.
func BenchmarkNodes(b *testing.B) {
	a := manyNodes(b, 5000)
	for _, path := range []string{"nodes", "status"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				Handler(a).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/"+path, nil))
			}
		})
	}
}
