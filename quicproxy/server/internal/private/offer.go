package private

import (
	"context"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/server/internal/public"
)

// Offer returns the listener of a private service that a node has, and the answer; most is how many it may have. It is
// the node that decides who may connect; the server knows whom to refuse at once.
func (x *Exchange) Offer(ctx context.Context, caller Caller, request *framing.ProxyRequest, most int) (*public.Listener, *framing.ProxyResponse, error) {
	p := x.Services.BindPrivate(lease.Key{Node: caller.Node, Service: request.Service}, request.AllowNodes, most)
	if p == nil {
		return nil, nil, &quicproxy.FailureError{
			Code: framing.ErrorTooManyServices, Text: "this node already has as many private services as it may have",
			Advice: "expose fewer services, or raise --max-services on the server",
		}
	}
	name := x.nameOf(ctx, caller)
	if certs.CheckName(name) != nil {
		name = caller.Node.String()
	}
	return p, &framing.ProxyResponse{
		OriginAddress: request.OriginAddress, Service: request.Service, ProxyAddress: "private:" + name + "/" + request.Service,
	}, nil
}
