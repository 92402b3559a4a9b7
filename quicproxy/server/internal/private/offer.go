package private

import (
	"context"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/server/internal/public"
)

// Offer returns the listener of a private service that a node has; most is how many it may have. It is the node that
// decides who may connect; the server knows whom to refuse at once.
func (x *Exchange) Offer(node certs.NodeID, request *framing.ProxyRequest, most int) (*public.Listener, error) {
	key := lease.Key{Node: node, Service: request.Service}
	if p := x.Services.BindPrivate(key, request.AllowNodes, most); p != nil {
		return p, nil
	}
	return nil, &quicproxy.FailureError{
		Code: framing.ErrorTooManyServices, Text: "this node already has as many private services as it may have",
		Advice: "expose fewer services, or raise --max-services on the server",
	}
}

// Address is where a private service is, as the command connect takes it: private:NODE/SERVICE.
func (x *Exchange) Address(ctx context.Context, caller Caller, service string) string {
	name := x.NameOf(ctx, caller)
	if certs.CheckName(name) != nil {
		name = caller.Node.String()
	}
	return "private:" + name + "/" + service
}
