package admin

import (
	"context"
	"strings"
	"testing"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/server"
)

// TestGroupStatus: a group is one service, with the nodes that offer it now; it is no node, and its address
// is given up by that alone.
func TestGroupStatus(t *testing.T) {
	both(t, func(t *testing.T, o Operations, core *fakeCore, _ *strings.Builder) {
		ctx := context.Background()
		id, guest := newID(t), newID(t)
		if _, err := o.Allow(ctx, AllowRequest{ID: id.String(), Name: "garage"}); err != nil {
			t.Fatal(err)
		}
		type member = struct {
			Node                 certs.NodeID
			Service              string
			Clients              int
			Connected, Unhealthy bool
		}
		var traffic server.Traffic
		traffic.Members = append(traffic.Members, member{id, "web", 3, true, true}, member{guest, "site", 1, false, true})
		core.mu.Lock()
		core.status = server.Status{
			Leases: []lease.Lease{{Key: lease.Key{Service: "photos"}, Port: 20000}, {Key: lease.Key{Service: "mail"}, Port: 20001, HeldUntil: time.Now().Add(time.Hour)},
				{Key: lease.Key{Service: "gone"}, Port: 20002, HeldUntil: time.Now().Add(time.Hour), Reserved: true}},
			Traffic: map[lease.Endpoint]server.Traffic{{Port: 20000}: traffic},
		}
		core.mu.Unlock()
		status, err := o.Status(ctx)
		if err != nil || len(status.Services) != 3 {
			t.Fatalf("%+v, %v", status, err)
		}
		for i, want := range []struct{ name, state string }{{"gone", SentAway}, {"mail", Away}, {"photos", Online}} {
			if s := status.Services[i]; s.Service != want.name || s.State != want.state || !s.IsGroup() {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
		members := status.Services[2].Members
		if len(members) != 2 || members[0] != (Member{Node: guest, Service: "site", State: Away, Clients: 1}) ||
			members[1] != (Member{Node: id, Name: "garage", Service: "web", State: Online, Unhealthy: true, Clients: 3}) {
			t.Errorf("%+v", members)
		}
		if nodes, err := o.ListNodes(ctx); err != nil || len(nodes) != 1 {
			t.Errorf("nodes %+v, %v", nodes, err)
		}
		if _, err := o.Release(ctx, ReleaseRequest{Node: strings.Repeat("1", 32), Service: "mail"}); err == nil {
			t.Error("a group is no node")
		}
		if _, err := o.Release(ctx, ReleaseRequest{Port: 20000}); err == nil || !strings.Contains(err.Error(), "the group photos has the port 20000 in use") {
			t.Errorf("%v", err)
		}
		if _, err := o.Release(ctx, ReleaseRequest{Port: 20001}); err != nil || len(core.forgotten) != 1 || core.forgotten[0] != (lease.Key{Service: "mail"}) {
			t.Errorf("%v, %v", core.forgotten, err)
		}
	})
}
