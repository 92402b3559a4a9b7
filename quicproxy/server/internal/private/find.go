package private

import (
	"context"
	"errors"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/server/internal/account"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/public"
)

// Exchange is the private services of all nodes; every field is required.
type Exchange struct {
	Services *public.Listeners
	Admit    admission.Admitter // who also knows the names of nodes, if it is admission.Names
	Memory   *carrier.Budget
}

// Caller is a node that connects, over one of its connections.
type Caller struct {
	*carrier.Conn
	Association *association.Association // nil: streams end with the connection
	Account     *account.Account
	Node        certs.NodeID
	Name        string // what the server's operator calls the node; may be empty
}

// find returns the service that a node asks for, and whose it is. Its error is the same whatever is missing: nobody
// learns which nodes there are.
func (x *Exchange) find(ctx context.Context, caller Caller, request *framing.Connect) (certs.NodeID, *public.Listener, error) {
	if request.Number == 0 || len(request.Node) > framing.MaxNodeName {
		return certs.NodeID{}, nil, failure.BadRequest(errors.New("a connect without a number, or with the name of no node"))
	}
	if wait := caller.Account.Connects.Ask(time.Now()); wait > 0 {
		return certs.NodeID{}, nil, Busy(wait)
	}
	node, err := certs.ParseNodeID(request.Node)
	if err != nil {
		node = x.named(ctx, request.Node)
	}
	if p := x.Services.Private(lease.Key{Node: node, Service: request.Service}, caller.Node, x.nameOf(ctx, caller)); p != nil {
		return node, p, nil
	}
	return certs.NodeID{}, nil, &quicproxy.FailureError{
		Code: framing.ErrorNoPrivateService,
		Text: "the server knows no such private service that this node may use",
		Advice: "check the name of the node and of its service, whether that node is connected (apquic-node status there), and whether its allowNodes has this node: " +
			caller.Node.String(),
	}
}

// Busy is the failure of a node that has, or wants, too much of private services.
func Busy(retry time.Duration) error {
	return &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "this node connects too often, or has too many connections to private services", RetryAfter: retry}
}

// nameOf returns the name by which others can find the node; empty: it has none, or not alone.
func (x *Exchange) nameOf(ctx context.Context, caller Caller) string {
	if caller.Name == "" || x.named(ctx, caller.Name) != caller.Node {
		return ""
	}
	return caller.Name
}

// named returns the node with a name; zero: there is none.
func (x *Exchange) named(ctx context.Context, name string) certs.NodeID {
	names, ok := x.Admit.(admission.Names)
	if !ok {
		return certs.NodeID{}
	}
	node, _ := names.Named(ctx, name)
	return node
}
