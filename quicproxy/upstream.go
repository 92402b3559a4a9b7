package quicproxy

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/limit"
)

const (
	// headerTimeout bounds the wait for a stream's header: a later stream's packet makes an earlier one
	// appear before its own data came.
	headerTimeout = 10 * time.Second
	// upstreamTimeout bounds the dial of a local service.
	upstreamTimeout = 10 * time.Second
)

// acceptStreams serves the relays that the server opens.
func (l *link) acceptStreams(ctx context.Context) {
	for {
		stream, err := l.quic.AcceptStream(ctx)
		if err != nil {
			return
		}
		if !l.node.costs.streams.Take(maxStreams) {
			l.refuse(stream, framing.ErrorNodeBusy)
			continue
		}
		l.node.relaying.Go(func() {
			defer l.node.costs.streams.Give()
			l.serveStream(stream)
		})
	}
}

// refuse resets a stream. What the server sent on it counts until the server ends it, too.
func (l *link) refuse(stream *quic.Stream, code framing.ErrorCode) {
	resetStream(stream, code)
	l.orphan(stream)
	signal(l.node.memory.busy)
}

// serveStream relays one stream to the service that its header names.
func (l *link) serveStream(stream *quic.Stream) {
	header, code := l.readHeader(stream)
	if header == nil {
		l.refuse(stream, code)
		return
	}
	if header.Relay != 0 {
		l.association.hear(header.Relay)
	}
	service := l.node.service(header.Service)
	switch {
	case service == nil:
		l.refuse(stream, framing.ErrorUnknownService)
	case service.listener != nil:
		service.listener.deliver(l, stream, header)
	default:
		l.relay(stream, service, header)
	}
}

// readHeader returns the header of a stream, or why there is none.
func (l *link) readHeader(stream *quic.Stream) (*framing.StreamHeader, framing.ErrorCode) {
	if !l.node.costs.unheard.Take(maxUnheard) {
		return nil, framing.ErrorNodeBusy
	}
	defer l.node.costs.unheard.Give()
	if half := receivingHalf(stream); half != nil {
		l.streams.add(half)
		defer l.streams.remove(half)
		signal(l.node.memory.busy)
	}
	stream.SetReadDeadline(time.Now().Add(headerTimeout))
	header, err := framing.ReadStreamHeader(stream)
	if err != nil {
		return nil, framing.ErrorBadHeader
	}
	stream.SetReadDeadline(time.Time{})
	return header, framing.NoError
}

// dial connects to the upstream of a service, or resets the stream.
func (l *link) dial(stream *quic.Stream, service *exposed) net.Conn {
	if !l.node.costs.dials.Take(maxDials) {
		l.refuse(stream, framing.ErrorNodeBusy)
		return nil
	}
	defer l.node.costs.dials.Give()
	ctx, cancel := context.WithTimeout(stream.Context(), upstreamTimeout)
	defer cancel()
	upstream, err := l.node.config.DialUpstream(ctx, service.network, service.address)
	service.reached(l, err)
	if err != nil {
		l.refuse(stream, upstreamCode(err))
		return nil
	}
	return upstream
}

func (l *link) relay(stream *quic.Stream, service *exposed, header *framing.StreamHeader) {
	client := &claimedClient{stream: stream}
	from := claimedAddress(header.ClientAddress)
	place, err := l.node.costs.clients.Admit(limit.Service{Name: service.name}, from, client.evict)
	if err != nil {
		l.node.log.Warn("a public connection was refused", "service", service.name, "client", header.ClientAddress, "err", err)
		l.refuse(stream, framing.ErrorNodeBusy)
		return
	}
	defer place.Leave()
	account, leave := l.node.memory.from.Open(from)
	defer leave()
	client.waits = account.Open(client)
	l.node.memory.await(client)
	upstream := l.dial(stream, service)
	l.node.memory.served(client)
	if upstream == nil {
		return
	}
	r := newRelay(&l.carrier, stream, upstream, l.node.memory, account)
	r.place = place
	client.relay.Store(r)
	var association *association
	if header.Relay != 0 {
		association = l.association
	}
	if !r.begin(association, header.Relay) {
		r.abort(framing.ErrorRelayShutdown)
		l.refuse(stream, framing.ErrorRelayShutdown)
		return
	}
	defer r.ended()
	l.node.memory.add(r, relayName{service.name, header.ClientAddress})
	defer l.node.memory.remove(r)
	l.relayBegan()
	service.relays.Add(1)
	defer service.relays.Add(-1)
	r.run()
	l.node.log.Debug("relay ended", "service", service.name, "client", header.ClientAddress,
		"to_upstream", r.toTCPBytes.Load(), "from_upstream", r.toStreamBytes.Load())
}

// upstreamCode says to the server why there is no relay.
func upstreamCode(err error) framing.ErrorCode {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist): // no such unix socket
		return framing.ErrorUpstreamRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return framing.ErrorUpstreamTimeout
	}
	return framing.ErrorUpstreamUnreachable
}

// reached tells of the first failure in a row to reach an upstream, and of its end.
func (e *exposed) reached(l *link, err error) {
	if errors.Is(err, context.Canceled) {
		return // the client went away meanwhile
	}
	e.mu.Lock()
	was := e.failing
	e.failing = err != nil
	e.mu.Unlock()
	switch {
	case err != nil && !was:
		l.node.log.Warn("the service cannot be reached", "service", e.name, "upstream", e.origin, "err", dialReason(err),
			"hint", "check that it runs and listens there; its clients get a reset until then")
	case err == nil && was:
		l.node.log.Info("the service can be reached again", "service", e.name)
	}
}

func dialReason(err error) string {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
