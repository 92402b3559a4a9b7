package admin

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/internal/settings/limits"
	"apquic/lease"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
	"apquic/rules"
)

const (
	defaultUses   = 1
	defaultExpiry = 7 * 24 * time.Hour
)

// Core is what the operations need of a server.
type Core interface {
	Status(ctx context.Context) (server.Status, error)
	// Budgets are those of Status; zero: nothing runs.
	Budgets() live.Budgets
	// Disconnect ends the session of a node and keeps its ports from others.
	Disconnect(ctx context.Context, node certs.NodeID) error
	// Forget gives up the port of a service whose node is away.
	Forget(ctx context.Context, key lease.Key) error
	// Relays and Flows return what runs and is selected, and how many there are.
	Relays(which live.Selection) ([]live.Relay, int)
	Flows(which live.Selection) ([]live.Flow, int)
	// Kick ends the session of a node, which may come back, and returns how many connections that were.
	Kick(node certs.NodeID) int
	// Pin and Unpin are those of lease.Lessor; ended says that the node has to connect again.
	Pin(ctx context.Context, key lease.Key, port uint16) (pinned lease.Lease, ended bool, err error)
	Unpin(ctx context.Context, key lease.Key) (lease.Lease, error)
	// Limit makes these all the limits of single nodes.
	Limit(own rules.Own)
}

// Running is the Core that is a running server.
type Running struct{ *server.Server }

// Status implements Core.
func (r Running) Status(context.Context) (server.Status, error) {
	return r.Server.Status(), nil
}

// Authority implements the operations on the files of a data directory. All fields are required unless they
// say otherwise.
type Authority struct {
	Nodes       *certs.AuthorizedNodes
	Invitations *certs.Invitations
	Server      certs.NodeID
	// Address is where nodes reach the server.
	Address func() (host string, port uint16, err error)
	Core    Core
	Ports   lease.PortRange // zero: not known
	Version string          // of the running server; may be empty
	// Logins returns how many visitors were refused at names where they must log in, by name and reason; may be nil.
	Logins func() map[string]map[string]uint64
	// LinesLost is how many lines of the access log were not written; may be nil.
	LinesLost func() uint64
	// Rules are those of the server, and what its settings say otherwise; nil: there are none.
	Rules func() (rules.Rules, rules.Limits)
	// Limits are those of single nodes; nil: there are none, and Limit may not be called.
	Limits *limits.File
	// Totals are those that are kept; nil: none are.
	Totals TotalsKept
	// Copy writes a copy of the leases to a new file in the data directory.
	Copy func(ctx context.Context) (LeaseCopy, error)
	// Stop stops the running server; nil: none runs.
	Stop func()
	Log  *slog.Logger
}

var _ Operations = (*Authority)(nil)

// Invite implements Operations.
func (a *Authority) Invite(ctx context.Context, r InviteRequest) (Invited, error) {
	host, port, err := a.Address()
	if err != nil {
		return Invited{}, err
	}
	if r.Port != 0 && !a.Ports.IsZero() && !a.Ports.Contains(r.Port) {
		return Invited{}, hint.Add(fmt.Errorf("the public port %d is not one of this server's, %v", r.Port, a.Ports), "choose one of these, or none")
	}
	nodes, err := a.all(ctx)
	if err != nil {
		return Invited{}, err
	}
	taken := make(map[string]bool)
	for _, node := range nodes {
		taken[node.Name] = true
	}
	if taken[r.Name] && r.Name != "" {
		return Invited{}, hint.Add(fmt.Errorf("a node is already called %s", r.Name), "choose another name")
	}
	lasts := cmp.Or(time.Duration(r.Seconds)*time.Second, defaultExpiry)
	offer := certs.OpenInvitation{Name: r.Name, Uses: cmp.Or(r.Uses, defaultUses), Port: r.Port, Expires: time.Now().Add(lasts)}
	open, secret, err := a.Invitations.Create(offer, func(name string) bool { return taken[name] })
	if err != nil {
		return Invited{}, err
	}
	a.audit("invite", "name", open.Name, "uses", open.Uses, "expires", open.Expires, "port", open.Port)
	invited := Invited{Invitation: certs.Invitation{Server: a.Server, Host: host, Port: port, Secret: secret}.String(), OpenInvitation: open}
	if r.QR {
		invited.QR, err = picture(invited.Invitation)
	}
	return invited, err
}

// picture draws a text as a QR code: the URL of a PNG image that has the image in itself.
func picture(text string) (url string, err error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("drawing the QR code: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG()), nil
}

// ListInvitations implements Operations.
func (a *Authority) ListInvitations(context.Context) ([]certs.OpenInvitation, error) {
	return a.Invitations.Open()
}

// Withdraw implements Operations.
func (a *Authority) Withdraw(_ context.Context, r WithdrawRequest) error {
	if err := a.Invitations.Withdraw(r.Name); err != nil {
		return err
	}
	a.audit("withdraw", "name", r.Name)
	return nil
}

// Allow implements Operations.
func (a *Authority) Allow(ctx context.Context, r AllowRequest) (Node, error) {
	if r.Name != "" {
		if err := certs.CheckName(r.Name); err != nil {
			return Node{}, err
		}
	}
	node, err := a.which(ctx, r.ID)
	if err != nil {
		return Node{}, err
	}
	if r.Name != "" {
		if other, err := a.Nodes.Find(ctx, r.Name); err == nil && other.ID != node.ID {
			return Node{}, hint.Add(fmt.Errorf("another node is called %s: %v", r.Name, other.ID), "choose another name")
		}
	}
	node.Name = cmp.Or(r.Name, node.Name)
	if err := a.Nodes.Allow(ctx, node); err != nil {
		return Node{}, err
	}
	a.audit("allow", "node", node.ID, "name", node.Name)
	return a.node(ctx, node.ID)
}

// Revoke implements Operations.
func (a *Authority) Revoke(ctx context.Context, r RevokeRequest) (Revoked, error) {
	node, err := a.which(ctx, r.Node)
	if err != nil {
		return Revoked{}, err
	}
	status, err := a.Core.Status(ctx)
	if err != nil {
		return Revoked{}, err
	}
	connections := 0
	for _, s := range status.Sessions {
		if s.Node == node.ID {
			connections += s.Relays
		}
	}
	if err := a.Nodes.Deny(ctx, node.ID); err != nil {
		return Revoked{}, err
	}
	a.audit("revoke", "node", node.ID, "name", node.Name)
	if err := a.Core.Disconnect(ctx, node.ID); err != nil {
		return Revoked{}, err
	}
	revoked, err := a.node(ctx, node.ID)
	revoked.State = SentAway
	return Revoked{revoked, connections, a.invitationOf(node)}, err
}

// invitationOf is the name of the open invitation by which a node joined: the node's name, perhaps without a
// number.
func (a *Authority) invitationOf(node certs.AuthorizedNode) string {
	open, _ := a.Invitations.Open() // if they cannot be read, they admit nobody
	for _, o := range open {
		number, shared := strings.CutPrefix(node.Name, o.Name+"-")
		if _, err := strconv.Atoi(number); !node.Joined.IsZero() && (node.Name == o.Name || shared && err == nil) {
			return o.Name
		}
	}
	return ""
}

// Release implements Operations.
func (a *Authority) Release(ctx context.Context, r ReleaseRequest) (Service, error) {
	service, err := a.find(ctx, r)
	if err != nil {
		return Service{}, err
	}
	switch err := a.Core.Forget(ctx, lease.Key{Node: service.Node, Service: service.Service}); {
	case errors.Is(err, lease.ErrAttached):
		return Service{}, hint.Add(fmt.Errorf("%s has %s in use", service.owner(), service.Public()),
			"stop its nodes first, or remove the service from their configuration")
	case err != nil:
		return Service{}, err
	}
	a.audit("lease-released", "node", service.Node, "name", service.Name, "service", service.Service,
		lease.Endpoint{Port: service.Port, Domain: service.Domain}.Attr())
	return service, nil
}

// find returns the service that a request means.
func (a *Authority) find(ctx context.Context, r ReleaseRequest) (Service, error) {
	status, err := a.Status(ctx)
	if err != nil {
		return Service{}, err
	}
	var node certs.AuthorizedNode
	byName := r.Port == 0 && r.Domain == ""
	if byName {
		if node, err = a.which(ctx, r.Node); err != nil {
			return Service{}, err
		}
	}
	for _, s := range status.Services {
		if s.Private {
			continue // it has nothing to give up
		}
		if !byName && s.Port == r.Port && s.Domain == r.Domain || byName && s.Node == node.ID && s.Service == r.Service {
			return s, nil
		}
	}
	return Service{}, hint.Add(errors.New("there is no such service with a port or domain"), "apquic-server status lists them")
}

// CopyLeases implements Operations.
func (a *Authority) CopyLeases(ctx context.Context) (LeaseCopy, error) {
	copied, err := a.Copy(ctx)
	if err == nil {
		a.audit("backup", "leases", copied.Leases)
	}
	return copied, err
}

func (a *Authority) audit(event string, attributes ...any) {
	a.Log.Info(server.AuditMessage, append([]any{slog.String("event", event)}, attributes...)...)
}

// Public is what a service has, in a sentence.
func (s Service) Public() string {
	if s.Domain != "" {
		return "the domain " + s.Domain
	}
	return fmt.Sprintf("the port %d", s.Port)
}

// nameOf is what people call a node.
func nameOf(name string, id certs.NodeID) string { return cmp.Or(name, id.String()) }
