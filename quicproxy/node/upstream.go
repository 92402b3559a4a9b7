package node

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/access"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/streamconn"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/canary"
	"apquic/quicproxy/node/internal/costs"
	"apquic/quicproxy/node/internal/upstream"
	"apquic/quicproxy/node/internal/visit"
)

// acceptStreams serves the relays that the server opens.
func (l *link) acceptStreams(ctx context.Context) {
	for {
		stream, err := l.QUIC.AcceptStream(ctx)
		if err != nil {
			return
		}
		if !l.node.costs.Streams.Take(costs.MaxStreams) {
			l.refuse(stream, framing.ErrorNodeBusy)
			continue
		}
		l.node.relaying.Go(func() {
			defer l.node.costs.Streams.Give()
			l.serveStream(stream)
		})
	}
}

// refuse resets a stream. What the server sent on it still counts until the server ends it.
func (l *link) refuse(stream *quic.Stream, code framing.ErrorCode) {
	quicstream.Reset(stream, code)
	l.Orphan(stream)
	wait.Signal(l.node.memory.Busy)
}

// serveStream relays one stream to the service that its header names, or resumes the relay that it names.
func (l *link) serveStream(stream *quic.Stream) {
	header, code := l.readHeader(stream)
	if header == nil {
		l.refuse(stream, code)
		return
	}
	switch {
	case header.Canary && !l.features.Has(framing.FeatureCanaries):
		l.refuse(stream, framing.ErrorBadHeader)
		return
	case header.Canary:
		l.answerCanary(stream, l.node.serviceFor(header))
		return
	}
	s, err := bytestream.Accept(l.association, &l.Carrier, stream, header)
	if refused, ok := errors.AsType[*bytestream.RefusedError](err); ok {
		l.refuse(stream, refused.Code)
	} else {
		l.relayBegan() // even if it only resumes here
	}
	if s == nil {
		return // refused, or it resumes a relay
	}
	s, visitor := visit.Of(s, l.node.config.Access)
	service := l.node.serviceFor(header)
	switch {
	case service == nil, service.listener == nil && !service.upstream.HasStreams():
		s.Discard(framing.ErrorUnknownService)
	case service.listener != nil && (header.Tls || service.guard != nil || service.upstream == nil || service.all):
		service.accept(l, s, header)
	default:
		l.relay(s, service, header)
	}
	s.Finish()
	wait.Signal(l.node.memory.Busy)
	if visitor != nil && service != nil {
		l.node.tell(visitor.Ended(header, service.naming.Domain), service.name)
	}
}

// tell tells of a visit to a service that has ended.
func (n *Node) tell(told access.Relay, service string) {
	n.mu.Lock()
	told.Node, told.Name, told.Service = n.config.Key.ID(), n.welcome.Name, service
	n.mu.Unlock()
	n.config.Access.Tell(told)
}

// readHeader returns the header of a stream, or why there is none.
func (l *link) readHeader(stream *quic.Stream) (*framing.StreamHeader, framing.ErrorCode) {
	if !l.node.costs.Unheard.Take(costs.MaxUnheard) {
		return nil, framing.ErrorNodeBusy
	}
	defer l.node.costs.Unheard.Give()
	defer l.Reading(stream)()
	wait.Signal(l.node.memory.Busy)
	header, err := quicstream.ReadHeader(stream)
	if err != nil {
		return nil, framing.ErrorBadHeader
	}
	return header, framing.NoError
}

// dial connects to the upstream of a service, or resets the relay.
func (l *link) dial(s bytestream.Stream, service *exposed, header *framing.StreamHeader) net.Conn {
	if !l.node.costs.Dials.Take(costs.MaxDials) {
		s.Discard(framing.ErrorNodeBusy)
		return nil
	}
	defer l.node.costs.Dials.Give()
	return service.upstream.Connect(s, upstream.Client{Address: header.ClientAddress, Public: header.PublicAddress, Stream: s}, l.node.log, service.name)
}

// answerCanary has the server know whether a service answers.
func (l *link) answerCanary(stream *quic.Stream, service *exposed) {
	var ask func(context.Context) error
	if service != nil && (service.upstream == nil || service.upstream.HasStreams()) {
		ask = func(ctx context.Context) error { return service.health.Ask(ctx, service.upstream.Check) }
	}
	canary.Answer(l.QUIC.Context(), stream, &l.node.costs, ask)
	l.Orphan(stream)
}

// relay carries a stream to and from the upstream of its service.
func (l *link) relay(s bytestream.Stream, service *exposed, header *framing.StreamHeader) {
	client := &costs.Client{Stream: s}
	from := costs.Address(header.ClientAddress)
	place, err := l.node.costs.Clients.Admit(clients.Service{Name: service.name}, from, client.Evict)
	if err != nil {
		l.node.log.Warn("a public connection was refused", "service", service.name, "client", header.ClientAddress, "err", err)
		s.Discard(framing.ErrorNodeBusy)
		return
	}
	defer place.Leave()
	account, leave := l.node.memory.From.Open(from)
	defer leave()
	if service.upstream.Serves() {
		c := streamconn.New(s, header, place.Active)
		defer c.CountAt(account)()
		l.serve(c, service)
		return
	}
	waiting := l.node.memory.Await(s, account)
	c := l.dial(s, service, header)
	l.node.memory.Served(waiting)
	if c == nil {
		return
	}
	r := relay.New(c, account, place, l.node.memory.Wait)
	r.Carry(s)
	client.Relay.Store(r)
	l.node.memory.Add(r, carrier.Name{Service: service.name, Client: header.ClientAddress})
	defer l.node.memory.Remove(r)
	service.relays.Add(1)
	defer service.relays.Add(-1)
	r.Run()
	l.node.log.Debug("relay ended", "service", service.name, "client", header.ClientAddress,
		"to_upstream", r.ToTCP(), "from_upstream", r.ToStream())
}

// serve has the upstream answer a client itself.
func (l *link) serve(c *streamconn.Conn, service *exposed) {
	err := service.upstream.Check(context.Background())
	service.upstream.Dialled(l.node.log, service.name, err)
	if err != nil {
		upstream.Refuse(c, err)
		return
	}
	service.relays.Add(1)
	defer service.relays.Add(-1)
	var serving sync.WaitGroup
	serving.Go(func() { service.upstream.Serve(c) })
	c.AwaitEnd(l.node.over)
	c.Close()
	serving.Wait()
}
