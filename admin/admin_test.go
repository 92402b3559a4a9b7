package admin

import (
	"apquic/internal/settings/limits"
	"apquic/rules"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/control"
	"apquic/internal/events"
	"apquic/internal/hint"
	"apquic/internal/reload"
	"apquic/lease"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
)

// fakeCore is a Core whose status a test decides.
type fakeCore struct {
	mu           sync.Mutex
	status       server.Status
	disconnected []certs.NodeID
	forgotten    []lease.Key
	relays       []live.Relay
	flows        []live.Flow
	selected     live.Selection // by the last call of Relays or Flows
	kicked       []certs.NodeID
	own          rules.Own
}

func (c *fakeCore) Status(context.Context) (server.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status, nil
}

func (c *fakeCore) Budgets() live.Budgets {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status.Budgets
}

func (c *fakeCore) Disconnect(_ context.Context, node certs.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disconnected = append(c.disconnected, node)
	return nil
}

func (c *fakeCore) Forget(_ context.Context, key lease.Key) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.status.Leases {
		if l.Key == key && l.Attached() {
			return lease.ErrAttached
		}
	}
	c.forgotten = append(c.forgotten, key)
	return nil
}

func (c *fakeCore) Relays(which live.Selection) ([]live.Relay, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.selected = which
	return c.relays, len(c.relays)
}

func (c *fakeCore) Flows(which live.Selection) ([]live.Flow, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.selected = which
	return c.flows, len(c.flows)
}

func (c *fakeCore) Kick(node certs.NodeID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, s := range c.status.Sessions {
		if s.Node == node {
			n++
		}
	}
	c.kicked = append(c.kicked, node)
	return n
}

func (c *fakeCore) Pin(_ context.Context, key lease.Key, port uint16) (lease.Lease, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.status.Leases {
		if port != 0 && l.Port == port && l.Key != key {
			return l, false, &lease.PortTakenError{Lease: l}
		}
	}
	for i := range c.status.Leases {
		if l := &c.status.Leases[i]; l.Key == key {
			moved := port != 0 && port != l.Port
			l.Port, l.Pinned = cmp.Or(port, l.Port), true
			return *l, moved, nil
		}
	}
	return lease.Lease{}, false, lease.ErrNoLease
}

func (c *fakeCore) Unpin(_ context.Context, key lease.Key) (lease.Lease, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.status.Leases {
		if l := &c.status.Leases[i]; l.Key == key && l.Pinned {
			l.Pinned = false
			return *l, nil
		}
	}
	return lease.Lease{}, lease.ErrNotPinned
}

func (c *fakeCore) Limit(own rules.Own) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = own
}

func newID(t *testing.T) certs.NodeID {
	t.Helper()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key.ID()
}

func newAuthority(t *testing.T, core Core, log io.Writer) *Authority {
	t.Helper()
	directory := t.TempDir()
	ports, err := lease.ParsePortRange("20000-20009")
	if err != nil {
		t.Fatal(err)
	}
	own, err := limits.Open(filepath.Join(directory, limits.Name))
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{
		Limits:      own,
		Nodes:       certs.NewAuthorizedNodes(filepath.Join(directory, "authorized_nodes")),
		Invitations: certs.NewInvitations(filepath.Join(directory, "invitations")),
		Server:      newID(t), Core: core, Ports: ports, Log: slog.New(slog.NewTextHandler(log, nil)),
		Rules:   someRules,
		Address: func() (string, uint16, error) { return "tunnel.example.com", 8090, nil },
		Copy:    func(context.Context) (LeaseCopy, error) { return LeaseCopy{File: "copy", Leases: 3}, nil },
	}
}

// newReloader reloads what has changed in part.
func newReloader() *reload.Reloader {
	return reload.New(reload.Config{Log: slog.New(slog.DiscardHandler), Apply: func() (reload.Report, error) {
		return reload.Report{Changed: []string{"logLevel"}, Restart: []string{"listen"}, Errors: []string{"no"}, Hints: []string{"do"}}, nil
	}})
}

func handlerOf(a *Authority) http.Handler {
	return Handler(a, events.New(slog.DiscardHandler), newReloader())
}

// both runs a test on an Authority, and on one behind a socket.
func both(t *testing.T, test func(t *testing.T, operations Operations, core *fakeCore, log *strings.Builder)) {
	t.Run("here", func(t *testing.T) {
		t.Parallel()
		core, log := new(fakeCore), new(strings.Builder)
		test(t, newAuthority(t, core, log), core, log)
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		core, log := new(fakeCore), new(strings.Builder)
		directory := t.TempDir()
		listener, err := control.Listen(directory)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var serving sync.WaitGroup
		serving.Go(func() {
			control.Serve(ctx, listener, handlerOf(newAuthority(t, core, log)))
		})
		t.Cleanup(func() { cancel(); serving.Wait() })
		client, err := Connect(t.Context(), directory)
		if err != nil {
			t.Fatal(err)
		}
		test(t, client, core, log)
	})
}

func TestOperations(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, o Operations, core *fakeCore, log *strings.Builder) {
		ctx := t.Context()
		invited, err := o.Invite(ctx, InviteRequest{Name: "shed-pi", Port: 20005})
		if err != nil || invited.Uses != 1 || time.Until(invited.Expires) < 6*24*time.Hour || invited.Port != 20005 {
			t.Fatalf("%+v, %v", invited, err)
		}
		invitation, err := certs.ParseInvitation(invited.Invitation)
		if err != nil || invitation.Address() != "tunnel.example.com:8090" || len(invitation.Secret) == 0 {
			t.Errorf("%v, %v", invitation, err)
		}
		for _, wrong := range []InviteRequest{{Name: "shed-pi"}, {Port: 80}, {Uses: -1}, {Name: "a b"}, {Seconds: -5}, {Seconds: 1 << 40}} {
			if _, err := o.Invite(ctx, wrong); err == nil {
				t.Errorf("%+v: no error", wrong)
			}
		}
		if list, err := o.ListInvitations(ctx); err != nil || len(list) != 1 || list[0].Name != "shed-pi" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := o.Withdraw(ctx, WithdrawRequest{Name: "shed-pi"}); err != nil {
			t.Error(err)
		}
		if err := o.Withdraw(ctx, WithdrawRequest{Name: "shed-pi"}); err == nil || hint.Of(err) == "" {
			t.Errorf("withdrawn twice: %v", err)
		}

		id, other := newID(t), newID(t)
		if node, err := o.Allow(ctx, AllowRequest{ID: id.String(), Name: "pi"}); err != nil || node.Name != "pi" || node.State != Away || !node.Known {
			t.Errorf("%+v, %v", node, err)
		}
		if _, err := o.Allow(ctx, AllowRequest{ID: other.String(), Name: "pi"}); err == nil || hint.Of(err) == "" {
			t.Errorf("a name twice: %v", err)
		}
		if node, err := o.Allow(ctx, AllowRequest{ID: "pi", Name: "pi"}); err != nil || node.ID != id {
			t.Errorf("its own name: %+v, %v", node, err)
		}
		if _, err := o.Invite(ctx, InviteRequest{Name: "pi"}); err == nil {
			t.Error("an invitation under the name of a node")
		}
		core.mu.Lock()
		core.status = server.Status{
			Sessions: []server.SessionStatus{{Node: id, Address: "198.51.100.7:4711", Since: time.Now(), Primary: true, Relays: 3}, {Node: id, Lane: true, Relays: 2}},
			Leases: []lease.Lease{{Key: lease.Key{Node: id, Service: "web"}, Port: 20000}, {Key: lease.Key{Node: other, Service: "web"}, Port: 20001, HeldUntil: time.Now().Add(time.Hour)},
				{Key: lease.Key{Node: other, Service: "photos"}, Domain: "photos.example.org", HeldUntil: time.Now().Add(time.Hour)}},
			Traffic: map[lease.Endpoint]server.Traffic{{Port: 20000}: {Clients: 5, ToNode: 10, FromNode: 20}},
		}
		core.mu.Unlock()
		status, err := o.Status(ctx)
		if err != nil || status.Used != 2 || status.Domains != 1 || status.Ports != 10 || status.Address != "tunnel.example.com:8090" {
			t.Errorf("%+v, %v", status, err)
		}
		for _, s := range status.Services {
			want := Service{Node: other, Service: "web", Port: 20001, State: Away, HeldUntil: s.HeldUntil}
			if s.Service == "photos" {
				want.Service, want.Port, want.Domain = "photos", 0, "photos.example.org"
			}
			if s.Node == id {
				want = Service{Node: id, Name: "pi", Service: "web", Port: 20000, State: Online, Since: s.Since, Connections: 5, In: 10, Out: 20, From: "198.51.100.7"}
			}
			if !reflect.DeepEqual(s, want) {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
		if _, err := o.Release(ctx, ReleaseRequest{Node: "pi", Service: "web"}); err == nil || hint.Of(err) == "" {
			t.Errorf("released what is in use: %v", err)
		}
		if _, err := o.Release(ctx, ReleaseRequest{Port: 20009}); err == nil {
			t.Error("released what nobody has")
		}
		if s, err := o.Release(ctx, ReleaseRequest{Port: 20001}); err != nil || s.Node != other || len(core.forgotten) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := o.Release(ctx, ReleaseRequest{Domain: "other.example.org"}); err == nil {
			t.Error("released a domain that nobody has")
		}
		for _, r := range []ReleaseRequest{{Domain: "photos.example.org"}, {Node: other.String(), Service: "photos"}} {
			s, err := o.Release(ctx, r)
			if err != nil || s.Service != "photos" || core.forgotten[len(core.forgotten)-1].Service != "photos" {
				t.Errorf("%+v, %v", s, err)
			}
		}
		if s, err := o.Release(ctx, ReleaseRequest{Node: other.String(), Service: "web"}); err != nil || s.Port != 20001 {
			t.Errorf("%+v, %v", s, err) // rather than that with a domain, which has no port either
		}
		revoked, err := o.Revoke(ctx, RevokeRequest{Node: "pi"})
		if err != nil || revoked.Connections != 5 || revoked.State != SentAway || len(core.disconnected) != 1 || core.disconnected[0] != id {
			t.Errorf("%+v, %v", revoked, err)
		}
		if _, err := o.Revoke(ctx, RevokeRequest{Node: "nobody"}); err == nil || hint.Of(err) == "" {
			t.Errorf("nobody: %v", err)
		}
		if copied, err := o.CopyLeases(ctx); err != nil || copied != (LeaseCopy{File: "copy", Leases: 3}) {
			t.Errorf("%+v, %v", copied, err)
		}
		if nodes, err := o.ListNodes(ctx); err != nil || len(nodes) != 2 || nodes[1].Known == nodes[0].Known {
			t.Errorf("%+v, %v", nodes, err)
		}
		for _, event := range []string{"invite", "withdraw", "allow", "lease-released", "revoke", "backup"} {
			want := 1
			switch event {
			case "allow":
				want = 2
			case "lease-released":
				want = 4
			}
			if n := strings.Count(log.String(), "msg=audit event="+event+" "); n != want {
				t.Errorf("%d lines of %s in the log", n, event)
			}
		}
		if strings.Contains(log.String(), "apquic://") {
			t.Error("an invitation is in the log")
		}
	})
}

// TestRevokeTellsOfInvitation: whoever knows the secret of a shared invitation can return with another key.
func TestRevokeTellsOfInvitation(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, new(fakeCore), io.Discard)
	ctx := t.Context()
	if _, err := a.Invite(ctx, InviteRequest{Name: "school", Uses: 3}); err != nil {
		t.Fatal(err)
	}
	joined := time.Now()
	for node, want := range map[certs.AuthorizedNode]string{
		{Name: "school", Joined: joined}:     "school",
		{Name: "school-2", Joined: joined}:   "school",
		{Name: "school-2-b", Joined: joined}: "",
		{Name: "schoolboy", Joined: joined}:  "",
		{Name: "school"}:                     "", // written by hand
	} {
		if got := a.invitationOf(node); got != want {
			t.Errorf("%s came by %q, want %q", node.Name, got, want)
		}
	}
	node, err := a.Nodes.Add(ctx, certs.AuthorizedNode{ID: newID(t), Name: "school", Joined: joined})
	if err != nil {
		t.Fatal(err)
	}
	if revoked, err := a.Revoke(ctx, RevokeRequest{Node: node.ID.String()}); err != nil || revoked.Invitation != "school" {
		t.Errorf("%+v, %v", revoked, err)
	}
}

// TestHintsOfCauses: a request through the socket gets the same hints as work on the files.
func TestHintsOfCauses(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, new(fakeCore), io.Discard)
	a.Address = func() (string, uint16, error) {
		return "", 0, &os.PathError{Op: "write", Path: "invitations", Err: syscall.ENOSPC}
	}
	w := httptest.NewRecorder()
	handlerOf(a).ServeHTTP(w, httptest.NewRequest("POST", "/api/v1/invite", strings.NewReader("{}")))
	var f failure
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || !strings.Contains(f.Hint, "the disk is full") {
		t.Errorf("%s, %v", w.Body, err)
	}
}

// TestBadRequests: each answer says what is wrong, and costs little.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	handler := handlerOf(newAuthority(t, new(fakeCore), io.Discard))
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/api/v1/invite", "", http.StatusBadRequest},
		{"POST", "/api/v1/invite", "{", http.StatusBadRequest},
		{"POST", "/api/v1/invite", `{"nmae": "pi"}`, http.StatusBadRequest},
		{"POST", "/api/v1/invite", `{"port": 70000}`, http.StatusBadRequest},
		{"POST", "/api/v1/invite", `{"name": "` + strings.Repeat("x", 2*maxBody) + `"}`, http.StatusBadRequest},
		{"POST", "/api/v1/allow", `{"id": "x"}`, http.StatusUnprocessableEntity},
		{"GET", "/api/v1/invite", "", http.StatusMethodNotAllowed},
		{"GET", "/api/v1/nothing", "", http.StatusNotFound},
		{"GET", "/api/v1/nodes", "", http.StatusOK},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(test.method, test.path, strings.NewReader(test.body)))
		if w.Code != test.status {
			t.Errorf("%s %s %.40s: %d, want %d: %s", test.method, test.path, test.body, w.Code, test.status, w.Body)
		}
		if w.Code == http.StatusBadRequest || w.Code == http.StatusUnprocessableEntity {
			var f failure
			if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || f.Error == "" {
				t.Errorf("%s: %s", test.path, w.Body)
			}
		}
	}
}

// TestBeginningOfID: the beginning of its id, as the log shows it, finds a node if it is unique; even a guest
// that is not in the list.
func TestBeginningOfID(t *testing.T) {
	both(t, func(t *testing.T, operations Operations, core *fakeCore, log *strings.Builder) {
		id := func(last byte) certs.NodeID { return certs.NodeID{1, 2, 3, 4, 5, 6, 7, 8, 20: last, 31: 1} }
		listed, guest, lessee, other := id(1), id(2), newID(t), newID(t)
		core.mu.Lock()
		core.status.Sessions = []server.SessionStatus{{Node: guest}}
		core.status.Leases = []lease.Lease{{Key: lease.Key{Node: lessee, Service: "web"}, Port: 20000}}
		core.mu.Unlock()
		for node, name := range map[certs.NodeID]string{listed: "pi", other: "nas"} {
			if _, err := operations.Allow(t.Context(), AllowRequest{ID: node.String(), Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		revoke := func(who string) error {
			_, err := operations.Revoke(t.Context(), RevokeRequest{Node: who})
			return err
		}
		err := revoke(listed.String()[:8] + "…")
		if err == nil || !strings.Contains(err.Error(), listed.String()+" pi") || !strings.Contains(err.Error(), guest.String()) || hint.Of(err) == "" {
			t.Errorf("two nodes with one beginning: %v", err)
		}
		for _, who := range []string{"", other.String()[:3], "zzzzzzzz"} {
			if err := revoke(who); err == nil {
				t.Errorf("%q was somebody", who)
			}
		}
		if len(core.disconnected) != 0 {
			t.Fatal("somebody was sent away")
		}
		for _, who := range []string{other.String()[:8] + "…", lessee.String()[:8], guest.String()[:40]} {
			if err := revoke(who); err != nil {
				t.Errorf("%s: %v", who, err)
			}
		}
		if want := []certs.NodeID{other, lessee, guest}; !slices.Equal(core.disconnected, want) {
			t.Errorf("sent away: %v, want %v", core.disconnected, want)
		}
		if !strings.Contains(log.String(), "name=nas") {
			t.Error("the name of a node is not in the log")
		}
	})
}
