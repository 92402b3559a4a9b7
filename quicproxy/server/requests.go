package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/public"
	"apquic/quicproxy/server/internal/request"
	"apquic/quicproxy/server/internal/ruled"
	"apquic/quicproxy/server/internal/stage"
)

const (
	// storeTimeout bounds one access to the lease store.
	storeTimeout = 10 * time.Second
	// maxRequests bounds how many requests of a connection wait for the lease store.
	maxRequests = 64
)

// handle answers a message of the node. An error ends the connection. What needs the lease store runs in
// another goroutine, so that a Keepalive is answered at once.
func (c *nodeConn) handle(envelope framing.Envelope) error {
	if envelope.RequestNonce == 0 {
		if envelope.Opcode != framing.OpProgress {
			return nil // a message of a feature that this version does not know
		}
		return c.HandleProgress(c.association, envelope)
	}
	switch envelope.Opcode {
	case framing.OpKeepalive:
		return request.Answer(c.Control, c.log, envelope, new(framing.Keepalive), framing.OpKeepaliveResponse, c.keepalive)
	case framing.OpProbeRequest:
		token := c.server.probes.Begin(c.QUIC)
		return c.Control.Reply(envelope, framing.OpProbeResponse, &framing.ProbeResponse{Token: token[:]})
	case framing.OpProbeSend:
		return request.Answer(c.Control, c.log, envelope, new(framing.ProbeSend), framing.OpProbeSent, c.sendProbe)
	case framing.OpProxyRequest, framing.OpRelease, framing.OpConnect:
		if !c.requests.Add(envelope, 1+maxRequests, c.fulfil) {
			return c.Control.Reply(envelope, framing.OpFailure, failure.Message(failure.Busy()))
		}
		return nil
	case framing.OpVisitorsRequest:
		return c.Control.Reply(envelope, framing.OpVisitorsResponse, c.server.public.RefusedOf(c.node))
	case framing.OpDrain:
		return c.drain(envelope)
	case framing.OpHello:
		return conn.Unexpected(envelope)
	}
	return c.Control.Reply(envelope, framing.OpFailure, &framing.Failure{
		Code: uint64(framing.ErrorUnknownOpcode),
		Text: fmt.Sprintf("this server does not know the message %v", envelope.Opcode),
	})
}

// keepalive answers a Keepalive.
func (c *nodeConn) keepalive(request *framing.Keepalive) (*framing.KeepaliveResponse, error) {
	c.where.Look(netaddr.Endpoint(c.QUIC.RemoteAddr()), time.Now())
	c.where.Keepalive(time.Now())
	response := new(framing.KeepaliveResponse)
	if request.Observe {
		response.ObservedAddress = c.QUIC.RemoteAddr().String()
	}
	return response, nil
}

// fulfil does what a request asks for; a malformed request ends the connection.
func (c *nodeConn) fulfil(envelope framing.Envelope) {
	if err := c.tryFulfil(envelope); err != nil {
		conn.Close(c.QUIC, err)
	}
}

func (c *nodeConn) tryFulfil(envelope framing.Envelope) error {
	switch envelope.Opcode {
	case framing.OpConnect:
		return request.Answer(c.Control, c.log, envelope, new(framing.Connect), framing.OpConnected, c.connect)
	case framing.OpRelease:
		return request.Answer(c.Control, c.log, envelope, new(framing.Release), framing.OpReleased, c.release)
	}
	return request.Answer(c.Control, c.log, envelope, new(framing.ProxyRequest), framing.OpProxyResponse, c.grant)
}

// grant leases a public address to a service, or renews it, and directs its clients to this connection.
func (c *nodeConn) grant(r *framing.ProxyRequest) (*framing.ProxyResponse, error) {
	wanted, visitors, err := request.Read(r, c.node, c.features, c.server.public.KnowsCountries())
	if err != nil {
		return nil, err
	}
	mode, err := c.server.public.ModeOf(c.node, r)
	if err != nil {
		return nil, err
	}
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	if err := c.mayHaveServices(); err != nil {
		return nil, err
	}
	c.endForgotten(r.Services)
	limits := c.allowed()
	if err := ruled.Apply(limits, &wanted, r.Private); err != nil {
		return nil, err
	}
	if r.Private {
		return c.grantPrivate(r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	c.quitFormer(r.Service, wanted.Key, false)
	defer c.server.groups.Hold(wanted.Key)()
	wanted.MayWrite = c.mayWrite
	if err := c.checkShare(&wanted, r.Service, mode); err != nil {
		return nil, failure.OfLease(err)
	}
	granted, err := c.server.lessor.Grant(ctx, wanted)
	if c.countsAsGuest() {
		c.server.guests.Settle(wanted.Key)
	}
	if err != nil {
		return nil, ruled.Failure(limits, err)
	}
	c.server.public.UnbindPrivate(wanted.Key)
	p := c.server.public.At(granted.Endpoint())
	if p == nil {
		return nil, &quicproxy.FailureError{Code: framing.ErrorShutdown, Text: "the server is stopping"}
	}
	p.Restrict(visitors, c.server.rules.Clients(c.node, limits, c.log))
	name := p.Offer(mode)
	c.services[r.Service] = p
	address := c.server.addresses.Of(granted.Transport, granted.Endpoint())
	if c.attach(p, r) {
		c.log.Info("lease", request.Attrs(r, "public", address)...)
	}
	response := &framing.ProxyResponse{
		OriginAddress: r.OriginAddress, ProxyAddress: address, Service: r.Service,
		LeaseSeconds:    uint64(c.server.lessor.HoldTimeOf(wanted.Key) / time.Second),
		WantedPortTaken: granted.WantedTaken,
	}
	if granted.Port != 0 && name != "" {
		response.NameAddress = c.server.addresses.Of(granted.Transport, lease.Endpoint{Domain: name})
	}
	c.reportMove(granted, response)
	return response, nil
}

// attach has p give clients to this connection, as the request says, and reports whether that changes anything.
func (c *nodeConn) attach(p *public.Listener, r *framing.ProxyRequest) (changed bool) {
	changed = p.Attach(c, request.Offer(r, c.node))
	if r.CanarySeconds > 0 {
		c.server.canaries.Add(p, p.Key)
	}
	return changed
}

// mayHaveServices returns the failure of a connection that has none. It needs session.leases.
func (c *nodeConn) mayHaveServices() error {
	switch {
	case c.Lane, c.connects:
		return failure.BadRequest(errors.New("a lane, or a process that only connects, has no services"))
	case c.successor != nil:
		return &quicproxy.FailureError{Code: framing.ErrorReplaced, Text: "a newer connection of this node is in use"}
	case c.stage.Last() == stage.Retiring:
		return &quicproxy.FailureError{Code: framing.ErrorShutdown, Text: "this connection is being closed"}
	}
	return nil
}

// reportMove logs that the address of a service changed, and adds that to the answer.
func (c *nodeConn) reportMove(granted lease.Grant, response *framing.ProxyResponse) {
	if granted.Previous.IsZero() {
		return
	}
	response.PreviousAddress, response.PreviousReason = c.server.addresses.Of(granted.Transport, granted.Previous), granted.Why
	c.log.Warn("address changed", "change", response.PreviousAddress+" -> "+response.ProxyAddress, "service", granted.Service, "reason", granted.Why)
}

// release gives up a lease, or only ends this connection's part in it.
func (c *nodeConn) release(request *framing.Release) (*framing.Released, error) {
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	p := c.services[request.Service]
	if request.Service == "" && !request.Hold {
		return new(framing.Released), c.releaseAll()
	}
	if p == nil {
		return nil, failure.BadRequest(fmt.Errorf("this connection has no service %q", request.Service))
	}
	if p.IsOwner(c) && !p.IsPrivate() { // otherwise nothing is written
		if err := c.mayWrite(); err != nil {
			return nil, err
		}
	}
	if request.Hold || c.server.lessor.IsPinned(p.Key) || p.Key.IsGroup() || p.IsPrivate() || !p.IsOwner(c) { // or a newer connection has it
		delete(c.services, request.Service)
		c.server.quit(c, p)
		return &framing.Released{Service: request.Service}, nil
	}
	p.Suspend(c)
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := c.server.lessor.Release(ctx, p.Key); err != nil {
		if c.stage.Last() == stage.Primary {
			p.Resume(c)
		}
		return nil, failure.OfLease(err)
	}
	delete(c.services, request.Service)
	c.log.Info("lease released", "service", request.Service, p.Attr())
	return &framing.Released{Service: request.Service}, nil
}

// releaseAll gives up what the node has leased, as far as it is not pinned.
func (c *nodeConn) releaseAll() error {
	if !slices.ContainsFunc(c.server.lessor.LeasesOf(c.node), func(l lease.Lease) bool { return !l.Pinned }) {
		return nil
	}
	if err := c.mayWrite(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := c.server.lessor.ForgetNode(ctx, c.node); err != nil {
		return failure.OfLease(err)
	}
	c.log.Info("lease released", "service", "all")
	return nil
}

// drain is requested, once, by a stopping node: new clients wait for its next process, running relays end.
func (c *nodeConn) drain(envelope framing.Envelope) error {
	var message framing.Drain
	if err := envelope.Decode(&message); err != nil {
		return err
	}
	c.session.leases.Lock()
	again := c.stage.Last() == stage.Retiring
	c.stage.Become(stage.Retiring)
	c.association.Retire(&c.Carrier)
	for _, p := range c.services {
		p.Suspend(c)
	}
	c.session.leases.Unlock()
	if again {
		return conn.Unexpected(envelope)
	}
	reason := framing.DrainCode(message.Code)
	c.log.Log(context.Background(), request.DrainLevel(reason), "node stops", "reason", reason, "relays", c.Relays.Len())
	c.server.work.Go(func() {
		c.Relays.CloseWhenIdle(c.QUIC.Context())
		c.Control.Reply(envelope, framing.OpDrained, &framing.Drained{})
	})
	return nil
}

// sendProbe sends a datagram to where the last one of this connection came from.
func (c *nodeConn) sendProbe(request *framing.ProbeSend) (*framing.ProbeSent, error) {
	if !c.server.probes.Send(c.QUIC, request.Number) {
		return nil, failure.BadRequest(errors.New("no probe datagram has come from the address of this connection"))
	}
	return new(framing.ProbeSent), nil
}
