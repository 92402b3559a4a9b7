//go:build linux

package dashboard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/events"
	"apquic/internal/reload"
	"apquic/internal/settings/limits"
	"apquic/internal/totals"
	"apquic/quicproxy/live"
	"apquic/rules"
)

// owned is a server of which only the nodes are made up: the door, the API, the stream of events and the page are real.
type owned struct {
	admin.Operations // nil: the page asks for no other ones than those below
	limits           limits.Words
	totals           *totals.Totals

	site
	log *slog.Logger // what is written there are its events

	mu      sync.Mutex
	nodes   []admin.Node
	status  admin.Status
	relays  []admin.Relay
	flows   []admin.Flow
	invited []certs.OpenInvitation
	done    []string // what the owner did
	asked   map[string]int
	broken  http.Handler // answers instead of the API; nil: the API does
}

// newOwned starts one that ends with the test.
func newOwned(t *testing.T) *owned {
	t.Helper()
	var lines lockedLines
	hub := events.New(slog.NewTextHandler(&lines, nil))
	o := &owned{log: slog.New(hub), asked: make(map[string]int)}
	o.status = admin.Status{Running: true, Version: "apquic-server v1.0.0", Address: "tunnel.example.com:8090", Range: "20000-29999", Ports: 10000, Counters: &admin.Counters{}, Budgets: &live.Budgets{}, Services: []admin.Service{}}
	reloader := reload.New(reload.Config{Log: o.log, Apply: func() (reload.Report, error) { return reload.Report{Changed: []string{"logLevel"}}, nil }})
	folder := t.TempDir()
	o.totals = totals.Open(filepath.Join(folder, "totals.db"), o.log)
	t.Cleanup(func() { o.totals.Close() })
	api := admin.Handler(o, hub, reloader)
	o.site = openDoor(t, "apquic-server", folder, o.log, &lines, func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked[r.URL.Path]++
		answers := o.broken
		o.mu.Unlock()
		if answers == nil {
			answers = api
		}
		answers.ServeHTTP(w, r)
	})
	return o
}

// change changes what the server has.
func (o *owned) change(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	do()
}

// times is how often a path of the API was asked for.
func (o *owned) times(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[admin.Prefix+name]
}

// did returns what the owner did so far.
func (o *owned) did() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.done, "; ")
}

// act notes what the owner does, and does it.
func (o *owned) act(what string, do func()) {
	o.change(func() { o.done = append(o.done, what); do() })
}

// idOf is the id of a node by its number.
func idOf(n int) (id certs.NodeID) {
	binary.BigEndian.PutUint32(id[:], uint32(n)*2654435761)
	binary.BigEndian.PutUint32(id[4:], uint32(n)+1)
	return id
}

// addNode adds a node that is online, with a service, and returns it.
func (o *owned) addNode(name, service string, port uint16) admin.Node {
	n, since := len(o.nodes), time.Now().Add(-time.Duration(len(o.nodes)*37+5)*time.Minute).UTC()
	node := admin.Node{ID: idOf(n), Name: name, State: admin.Online, Known: true, Joined: &since, Since: &since, From: fmt.Sprintf("198.51.100.%d", n%250+1), Version: "apquic-node v1.0.0", Services: 1}
	node.Connection = &admin.Connection{Address: node.From + ":4711", RTT: 8 + float64(n%40)*1.7, MinRTT: 8, Sent: 120000, Lost: uint64(n%7) * 90, BytesSent: 3 << 20, BytesReceived: 60 << 20, Datagrams: true, Relays: n % 5, Memory: 1 << 20, Moves: n % 3, Moved: &since}
	o.nodes = append(o.nodes, node)
	o.status.Nodes, o.status.Online, o.status.Outside, o.status.LastOutside, o.status.Used = n+1, o.status.Online+1, o.status.Outside+1, &since, n+1
	o.status.Services = append(o.status.Services, admin.Service{Node: node.ID, Name: name, Service: service, Port: port, State: admin.Online, Since: &since, Connections: n % 5, In: uint64(n) << 18, Out: uint64(n) << 22, From: node.From})
	return node
}

func (o *owned) ListNodes(context.Context) ([]admin.Node, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]admin.Node{}, o.nodes...), nil
}

func (o *owned) Status(context.Context) (admin.Status, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	status, counters, budgets := o.status, *o.status.Counters, *o.status.Budgets
	counters.RefusedBy = maps.Clone(counters.RefusedBy)
	status.Counters, status.Budgets = &counters, &budgets
	status.Services = append([]admin.Service{}, o.status.Services...)
	return status, nil
}

func (o *owned) ListRelays(context.Context, admin.Selection) (admin.Page[admin.Relay], error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return admin.Page[admin.Relay]{Total: len(o.relays), Rows: append([]admin.Relay{}, o.relays...)}, nil
}

func (o *owned) ListFlows(context.Context, admin.Selection) (admin.Page[admin.Flow], error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return admin.Page[admin.Flow]{Total: len(o.flows), Rows: append([]admin.Flow{}, o.flows...)}, nil
}

func (o *owned) ListInvitations(context.Context) ([]certs.OpenInvitation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]certs.OpenInvitation{}, o.invited...), nil
}

// node returns the one with this id or name.
func (o *owned) node(who string) *admin.Node {
	for i := range o.nodes {
		if n := &o.nodes[i]; n.ID.String() == who || n.Name == who {
			return n
		}
	}
	return &admin.Node{}
}

func (o *owned) Allow(_ context.Context, r admin.AllowRequest) (node admin.Node, err error) {
	id, err := certs.ParseNodeID(r.ID)
	if err != nil {
		return node, err
	}
	o.act("allow "+r.Name, func() {
		if n := o.node(r.ID); !n.ID.IsZero() {
			n.State = admin.Away
			return
		}
		o.nodes = append(o.nodes, admin.Node{ID: id, Name: r.Name, State: admin.Away, Known: true})
	})
	return admin.Node{ID: id, Name: r.Name, State: admin.Away, Known: true}, nil
}

func (o *owned) Revoke(_ context.Context, r admin.RevokeRequest) (revoked admin.Revoked, err error) {
	o.act("revoke", func() {
		n := o.node(r.Node)
		n.State, n.Connection = admin.SentAway, nil
		revoked.Node = *n
	})
	return revoked, nil
}

func (o *owned) Kick(_ context.Context, r admin.KickRequest) (kicked admin.Kicked, err error) {
	o.act("kick", func() { kicked.Node, kicked.Connections = *o.node(r.Node), 2 })
	return kicked, nil
}

func (o *owned) Release(_ context.Context, r admin.ReleaseRequest) (s admin.Service, err error) {
	o.act(fmt.Sprintf("release %d%s", r.Port, r.Domain), func() {
		for i, have := range o.status.Services {
			if have.Port == r.Port && have.Domain == r.Domain {
				s, o.status.Services = have, append(o.status.Services[:i:i], o.status.Services[i+1:]...)
				return
			}
		}
		err = errors.New("there is no such service")
	})
	return s, err
}

func (o *owned) Withdraw(_ context.Context, r admin.WithdrawRequest) error {
	o.act("withdraw "+r.Name, func() { o.invited = nil })
	return nil
}

func (o *owned) Pin(_ context.Context, r admin.PinRequest) (pinned admin.Pinned, err error) {
	o.act(fmt.Sprintf("pin %s %d", r.Service, r.Port), func() {
		for i := range o.status.Services {
			if s := &o.status.Services[i]; s.Service == r.Service {
				s.Port, s.Pinned = r.Port, true
				pinned = admin.Pinned{Node: s.Node, Name: s.Name, Service: s.Service, Port: s.Port, Pinned: true}
			}
		}
	})
	return pinned, nil
}

func (o *owned) Unpin(_ context.Context, r admin.UnpinRequest) (admin.Pinned, error) {
	o.act("unpin "+r.Service, func() {
		for i := range o.status.Services {
			if s := &o.status.Services[i]; s.Service == r.Service {
				s.Pinned = false
			}
		}
	})
	return admin.Pinned{Service: r.Service}, nil
}

func (o *owned) Limit(_ context.Context, r admin.LimitRequest) (admin.Limited, error) {
	o.act(fmt.Sprintf("limit %v", r.Limits), func() { o.limits = r.Limits })
	return admin.Limited{ID: o.node(r.Node).ID, Limits: r.Limits}, nil
}

func (o *owned) Explain(_ context.Context, who string) (admin.Explained, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.node(who)
	holds := []rules.Decision{{Limit: "maxClients", Value: "20", Rule: "family"}, {Limit: "maxServices", Value: "16"}, {Limit: rules.MonthBytes, Value: "1.5 GB", Rule: "family"}}
	for i, l := range holds {
		if own := o.limits[l.Limit]; own != "" {
			holds[i] = rules.Decision{Limit: l.Limit, Value: own, Rule: "limit of the operator"}
		}
	}
	return admin.Explained{ID: n.ID, Name: n.Name, Rules: []string{"family"}, Limits: holds, Services: []admin.ExplainedService{}, Month: o.totals.Month(n.ID), MonthLimit: 1500e6}, nil
}

// Invite uses the real invitations, so that the QR code is real, too.
func (o *owned) Invite(ctx context.Context, r admin.InviteRequest) (admin.Invited, error) {
	folder, err := os.MkdirTemp("", "invitations")
	if err != nil {
		return admin.Invited{}, err
	}
	defer os.RemoveAll(folder)
	authority := &admin.Authority{
		Nodes: certs.NewAuthorizedNodes(filepath.Join(folder, "nodes")), Invitations: certs.NewInvitations(filepath.Join(folder, "invitations")), Server: idOf(0),
		Address: func() (string, uint16, error) { return "tunnel.example.com", 8090, nil }, Log: slog.New(slog.DiscardHandler),
	}
	invited, err := authority.Invite(ctx, r)
	o.act("invite "+r.Name, func() { o.invited = append(o.invited, invited.OpenInvitation) })
	return invited, err
}

func (o *owned) Drain(context.Context) (admin.Draining, error) {
	return admin.Draining{}, errors.New("not here")
}

func (o *owned) CopyLeases(context.Context) (admin.LeaseCopy, error) {
	return admin.LeaseCopy{}, errors.New("not here")
}
