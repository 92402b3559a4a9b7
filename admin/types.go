package admin

import (
	"context"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
)

// Operations are what an operator can do, here or through the socket of a running server.
type Operations interface {
	// Invite makes an invitation.
	Invite(ctx context.Context, request InviteRequest) (Invited, error)
	// ListInvitations lists the invitations that can still be used.
	ListInvitations(ctx context.Context) ([]certs.OpenInvitation, error)
	// Withdraw ends the invitation with this name.
	Withdraw(ctx context.Context, request WithdrawRequest) error
	// Drain stops the running server as a signal to stop does.
	Drain(ctx context.Context) (Draining, error)
	// Allow admits a node, even one that was revoked.
	Allow(ctx context.Context, request AllowRequest) (Node, error)
	// Revoke shuts a node out: its session ends, and only Allow admits it again.
	Revoke(ctx context.Context, request RevokeRequest) (Revoked, error)
	// ListNodes lists the nodes that are allowed, denied, or here.
	ListNodes(ctx context.Context) ([]Node, error)
	// Status describes the server, service by service.
	Status(ctx context.Context) (Status, error)
	// Release gives up the port or domain of a service whose node is away.
	Release(ctx context.Context, request ReleaseRequest) (Service, error)
	// CopyLeases writes a copy of the leases to a new file in the data directory, for a backup. The caller removes it.
	CopyLeases(ctx context.Context) (LeaseCopy, error)
	// ListRelays lists the public connections that run, or wait for their node.
	ListRelays(ctx context.Context, which Selection) (Page[Relay], error)
	// ListFlows lists the flows of UDP.
	ListFlows(ctx context.Context, which Selection) (Page[Flow], error)
	// Kick ends the session of a node, which may come back.
	Kick(ctx context.Context, request KickRequest) (Kicked, error)
	// Pin makes a port that of a service of a node for good, perhaps another one than it has.
	Pin(ctx context.Context, request PinRequest) (Pinned, error)
	// Unpin undoes that.
	Unpin(ctx context.Context, request UnpinRequest) (Pinned, error)
	// Limit says what a node may have, before all rules, from now on.
	Limit(ctx context.Context, request LimitRequest) (Limited, error)
	// ListLimits lists what Limit said.
	ListLimits(ctx context.Context) ([]Limited, error)
	// ListTotals sums up what has passed on some days.
	ListTotals(ctx context.Context, which Selection) (Totals, error)
	// Explain says what a node may have, by id or name, and which rule says so.
	Explain(ctx context.Context, node string) (Explained, error)
}

// InviteRequest asks for an invitation.
type InviteRequest struct {
	Name    string `json:"name,omitempty"` // of the node; empty: the server chooses one
	Uses    int    `json:"uses,omitempty"` // 0: 1
	Seconds int64  `json:"seconds,omitempty"`
	Port    uint16 `json:"port,omitempty"` // public port for its first service; 0: any
	QR      bool   `json:"qr,omitempty"`   // answer with a QR code, too
}

// Invited is a new invitation.
type Invited struct {
	Invitation string `json:"invitation"`   // the text with the secret, which cannot be shown again
	QR         string `json:"qr,omitempty"` // the same as a QR code: a PNG image as a data: URL
	certs.OpenInvitation
}

// WithdrawRequest names an invitation.
type WithdrawRequest struct {
	Name string `json:"name"`
}

// AllowRequest names a node to admit.
type AllowRequest struct {
	ID   string `json:"id"` // or the name of a node that was revoked
	Name string `json:"name,omitempty"`
}

// RevokeRequest names a node to shut out.
type RevokeRequest struct {
	Node string `json:"node"` // id or name
}

// Revoked is what that did.
type Revoked struct {
	Node
	Connections int    `json:"connections"`          // public connections that were ended
	Invitation  string `json:"invitation,omitempty"` // by which it joined, if that still admits others
}

// ReleaseRequest names a service: its node and name, or its port or domain.
type ReleaseRequest struct {
	Node    string `json:"node,omitempty"` // id or name
	Service string `json:"service,omitempty"`
	Port    uint16 `json:"port,omitempty"`
	Domain  string `json:"domain,omitempty"`
}

// LeaseCopy is a copy of the leases, and of the totals.
type LeaseCopy struct {
	File   string `json:"file"` // its name in the data directory
	Leases int    `json:"leases"`
	Totals string `json:"totals,omitempty"` // the name of theirs; missing: none are kept
}

// Node is a node that the server knows.
type Node struct {
	ID       certs.NodeID `json:"id"`
	Name     string       `json:"name,omitempty"`
	State    string       `json:"state"`            // online, away or revoked
	Known    bool         `json:"known"`            // it is in authorized_nodes
	Joined   *time.Time   `json:"joined,omitempty"` // by an invitation
	Since    *time.Time   `json:"since,omitempty"`  // when its session began
	From     string       `json:"from,omitempty"`   // its address
	Version  string       `json:"version,omitempty"`
	Services int          `json:"services"` // with a port or domain

	Connection *Connection `json:"connection,omitempty"` // nil: it is away
}

// Member is a node that offers a group.
type Member struct {
	Node      certs.NodeID `json:"node"`
	Name      string       `json:"name,omitempty"`
	Service   string       `json:"service"` // what the node calls it
	State     string       `json:"state"`   // online or away
	Unhealthy bool         `json:"unhealthy,omitempty"`
	Clients   int          `json:"clients"` // now
}

// States of a node, and of a service.
const (
	Online   = "online"
	Away     = "away"
	SentAway = "revoked"
)

// Status describes a server.
type Status struct {
	Running bool       `json:"running"`
	Since   *time.Time `json:"since,omitempty"` // when it was started
	Version string     `json:"version,omitempty"`
	Address string     `json:"address,omitempty"` // of the server, for nodes
	Range   string     `json:"range,omitempty"`   // of public ports
	Ports   int        `json:"ports,omitempty"`   // in the range
	Used    int        `json:"used"`              // ports with a service
	Domains int        `json:"domains,omitempty"` // with a service
	Nodes   int        `json:"nodes"`             // known, or here
	Online  int        `json:"online"`            // of these
	Outside int        `json:"outside"`           // of those that are online: from the internet
	// LastOutside is when the newest of these began its session: since then, at least, the server is reached.
	LastOutside *time.Time    `json:"lastOutside,omitempty"`
	Budgets     *live.Budgets `json:"budgets,omitempty"`
	Connections int           `json:"connections"` // public ones, now
	Flows       int           `json:"flows"`       // clients over UDP, now
	Services    []Service     `json:"services"`
	Counters    *Counters     `json:"counters,omitempty"`
	// Logins are visitors who were refused at names where the operator has them log in, by name and reason.
	Logins map[string]map[string]uint64 `json:"logins,omitempty"`
}

// Counters never decrease while a server runs.
type Counters struct {
	Connections uint64            `json:"connections"`
	In          uint64            `json:"bytesIn"`  // from visitors
	Out         uint64            `json:"bytesOut"` // to visitors
	Refused     uint64            `json:"refused"`
	RefusedBy   map[string]uint64 `json:"refusedBy,omitempty"` // the same by reason
	Answered    uint64            `json:"answered"`            // by the server itself, mostly sent to https
	Stalled     uint64            `json:"stalled"`             // reset for lack of memory

	DatagramsToNodes   uint64            `json:"datagramsToNodes,omitzero"`
	DatagramsFromNodes uint64            `json:"datagramsFromNodes,omitzero"`
	DatagramsDropped   map[string]uint64 `json:"datagramsDropped,omitempty"` // by reason

	Lasted live.Histogram `json:"-"` // how long relays lasted; at /metrics
	RTTs   live.Histogram `json:"-"` // round trip times of their nodes then
	// FirstBytes is how long relays waited for their service, and Canaries how long services took to answer the server.
	FirstBytes, Canaries live.Histogram `json:"-"`
	LinesLost            uint64         `json:"-"` // of the access log
}

// Service is a service with a port or a domain.
type Service struct {
	Node        certs.NodeID    `json:"node,omitzero"`       // missing: it is a group
	Name        string          `json:"name,omitempty"`      // of the node
	Members     []Member        `json:"members,omitempty"`   // of a group: the nodes that offer it now
	Unhealthy   bool            `json:"unhealthy,omitempty"` // it gets no new clients: its health check fails
	Service     string          `json:"service"`
	Port        uint16          `json:"port,omitempty"`
	Pinned      bool            `json:"pinned,omitempty"` // it has the port for good
	Transport   lease.Transport `json:"transport"`        // tcp, udp or tcp+udp
	Domain      string          `json:"domain,omitempty"`
	Hostname    string          `json:"hostname,omitempty"` // below the server's own domain, beside a port
	Private     bool            `json:"private,omitempty"`  // only other nodes connect to it
	Origin      string          `json:"origin,omitempty"`
	State       string          `json:"state"`               // online, away or revoked
	Since       *time.Time      `json:"since,omitempty"`     // when the node's session began
	HeldUntil   *time.Time      `json:"heldUntil,omitempty"` // nobody else gets the port or domain before that
	Connections int             `json:"connections"`         // public ones, now
	Flows       int             `json:"flows,omitzero"`      // clients over UDP, now
	In          uint64          `json:"bytesIn"`             // from visitors, since the server was started
	Out         uint64          `json:"bytesOut"`            // to visitors
	From        string          `json:"from,omitempty"`      // the address of the node
	// Refused are visitors whom the rules of the service or of the server refused.
	Refused quicproxy.Refused `json:"refused,omitzero"`
	// Canary is how the service answers the server, if that asks it.
	Canary *Canary `json:"canary,omitempty"`
}

// Canary is how a service answers a server that asks it from time to time, through its node.
type Canary struct {
	Every    float64    `json:"everySeconds"`
	Proved   *time.Time `json:"proved,omitempty"`       // when it answered last
	Failing  string     `json:"failing,omitempty"`      // why it did not the last time
	Since    *time.Time `json:"failingSince,omitempty"` // since when it has not
	Proofs   uint64     `json:"proofs"`
	Failures uint64     `json:"failures"`
}
