package admission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"apquic/certs"
	"apquic/internal/files"
	"apquic/quicproxy/internal/limit"
)

const (
	// Secrets that one address, or /64, may present: that many at once, and then one more per interval. A
	// household has few nodes. A larger network may present only slightly more.
	secretBurst = 16
	secretEvery = 6 * time.Second
	// Nodes that may join, whoever invited them: each writes two files.
	joinBurst = 60
	joinEvery = time.Second
	// maxAddresses is how many addresses are remembered.
	maxAddresses = 1 << 14

	// newcomerTime is how long a node that joined by itself is a newcomer, and newcomerServices how many
	// services it may have then: enough for a home, while a stolen invitation costs few ports.
	newcomerTime     = 24 * time.Hour
	newcomerServices = 8
)

var (
	// ErrNotAuthorized is returned by an Admitter for a node that may not use the server.
	ErrNotAuthorized = errors.New("this node is not authorized")
	// ErrTooManyJoins is returned by an Admitter that admits no more nodes for the moment.
	ErrTooManyJoins = errors.New("too many nodes are joining")

	// ErrDenied is the ErrNotAuthorized of a node that the operator has shut out.
	ErrDenied = fmt.Errorf("%w: it was shut out", ErrNotAuthorized)
)

// Applicant is a node that wants to use a server.
type Applicant struct {
	Node       certs.NodeID
	JoinSecret []byte     // of an invitation; nil: none was presented
	From       netip.Addr // where it comes from; zero: it is already connected
	Name       string     // that it would like to have if it has none; may be empty, or no name at all
}

// Admission is what an admitted node may do.
type Admission struct {
	Name     string // what the operator calls the node; may be empty
	Known    bool   // one of the operator's own: its leases are kept while it is away
	Joined   bool   // its join secret has just let it in
	Port     uint16 // public port for its first service, if the node wants none; 0: any
	Services int    // how many it may have; 0: as many as others

	ServicesUntil time.Time // when that limit ends, even while the node is connected; zero: never
}

// ServicesNow returns how many services the node may have now; 0: as many as others.
func (a Admission) ServicesNow() int {
	if !a.ServicesUntil.IsZero() && time.Now().After(a.ServicesUntil) {
		return 0
	}
	return a.Services
}

// Admitter decides which nodes may use a server.
type Admitter interface {
	// Admit returns what the node may do. An error that is neither ErrNotAuthorized nor ErrTooManyJoins means
	// that the Admitter could not decide.
	Admit(ctx context.Context, applicant Applicant) (Admission, error)
	// Revision changes whenever Admit may refuse a node that it admitted before. It is called twice a second;
	// refused nodes then lose their session.
	Revision(ctx context.Context) uint64
}

// Names is an Admitter that knows nodes by name.
type Names interface {
	// Named returns the node that has a name, if exactly one has.
	Named(ctx context.Context, name string) (node certs.NodeID, found bool)
}

// Everyone is an Admitter that admits every node, and never changes.
type Everyone struct{}

// Admit implements Admitter.
func (Everyone) Admit(context.Context, Applicant) (Admission, error) { return Admission{}, nil }

// Revision implements Admitter.
func (Everyone) Revision(context.Context) uint64 { return 0 }

// Config says what a file-based Admitter consists of. Nodes is required.
type Config struct {
	Nodes       *certs.AuthorizedNodes // those allowed, and those denied
	Invitations *certs.Invitations     // their secrets let nodes in, which are added to Nodes; nil: none
	Open        bool                   // every node that is not denied is admitted
	Log         *slog.Logger
}

// New returns an Admitter of the nodes in a file of authorized nodes, and of those that present the secret of
// an invitation. Bad lines of the file lock nobody else out; they are logged.
func New(config Config) Admitter {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return &admission{
		Config:  config,
		secrets: limit.NewNetworkRates(secretEvery, secretBurst, maxAddresses),
		joins:   limit.NewRates[struct{}](joinEvery, joinBurst, 1),
		joining: make(chan struct{}, 1),
	}
}

type admission struct {
	Config
	secrets *limit.NetworkRates
	joins   *limit.Rates[struct{}]
	joining chan struct{} // holds a token while a node joins: one at a time

	mu        sync.Mutex
	complaint string // the last logged error of the file
}

// Admit implements Admitter.
func (a *admission) Admit(ctx context.Context, applicant Applicant) (Admission, error) {
	node, known, err := a.Nodes.Lookup(ctx, applicant.Node)
	a.complain(err)
	switch {
	case known && node.Denied:
		return Admission{}, ErrDenied
	case known:
		return admissionOf(a.called(ctx, node, applicant)), nil
	case err != nil && !errors.Is(err, certs.ErrBadLines):
		return Admission{}, err
	case len(applicant.JoinSecret) > 0 && a.Invitations != nil:
		return a.join(ctx, applicant)
	case a.Open:
		return Admission{}, nil
	}
	return Admission{}, ErrNotAuthorized
}

// join admits a node by its secret.
func (a *admission) join(ctx context.Context, applicant Applicant) (Admission, error) {
	now := time.Now()
	if a.secrets.Ask(applicant.From, now) > 0 {
		return Admission{}, ErrTooManyJoins
	}
	select {
	case a.joining <- struct{}{}:
		defer func() { <-a.joining }()
	case <-ctx.Done():
		return Admission{}, fmt.Errorf("waiting to join: %w", context.Cause(ctx))
	}
	switch node, known, err := a.Nodes.Lookup(ctx, applicant.Node); {
	case known && node.Denied:
		return Admission{}, ErrDenied
	case known: // another connection of it was faster
		return admissionOf(node), nil
	case err != nil && !errors.Is(err, certs.ErrBadLines):
		return Admission{}, err
	}
	switch known, err := a.Invitations.Has(applicant.JoinSecret); {
	case err != nil:
		return Admission{}, err
	case !known:
		return Admission{}, fmt.Errorf("%w: %w", ErrNotAuthorized, certs.ErrNoInvitation)
	case !a.joins.Allow(struct{}{}, now):
		return Admission{}, ErrTooManyJoins
	}
	node := certs.AuthorizedNode{ID: applicant.Node, Joined: now}
	err := a.Invitations.Use(applicant.JoinSecret, func(invitation certs.OpenInvitation) (err error) {
		node.Name, node.Port = invitation.Name, invitation.Port
		node, err = a.Nodes.Add(ctx, node)
		return err
	})
	if errors.Is(err, certs.ErrNoInvitation) {
		return Admission{}, fmt.Errorf("%w: %w", ErrNotAuthorized, err)
	}
	if err != nil {
		return Admission{}, fmt.Errorf("authorizing the node: %w", err)
	}
	admitted := admissionOf(a.called(ctx, node, applicant))
	admitted.Joined = true
	return admitted, nil
}

func admissionOf(node certs.AuthorizedNode) Admission {
	admitted := Admission{Name: node.Name, Known: true, Port: node.Port}
	if !node.Joined.IsZero() {
		admitted.Services, admitted.ServicesUntil = newcomerServices, node.Joined.Add(newcomerTime)
	}
	return admitted
}

// called gives a node the name that it would like, if nobody has chosen one for it and no other node has that one.
func (a *admission) called(ctx context.Context, node certs.AuthorizedNode, applicant Applicant) certs.AuthorizedNode {
	if applicant.Name == "" || node.Name == applicant.Name {
		return node
	}
	switch called, err := a.Nodes.Call(ctx, node.ID, applicant.Name); {
	case err != nil:
		a.Log.Warn("a node cannot be given a name", "node", node.ID, "err", err)
	case !called.ID.IsZero():
		return called
	}
	return node
}

// Named implements Names.
func (a *admission) Named(ctx context.Context, name string) (certs.NodeID, bool) {
	return a.Nodes.Named(ctx, name)
}

// Revision implements Admitter.
func (a *admission) Revision(ctx context.Context) uint64 {
	revision, err := a.Nodes.Revision(ctx)
	a.complain(err)
	return revision
}

// complain logs each error of the file once.
func (a *admission) complain(err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.complaint = ""
	} else if text := err.Error(); text != a.complaint {
		a.complaint = text
		attributes := []any{"err", err}
		if hint := files.OwnerHint(err); hint != "" {
			attributes = append(attributes, "hint", hint)
		}
		a.Log.Error("the list of authorized nodes has mistakes", attributes...)
	}
}
