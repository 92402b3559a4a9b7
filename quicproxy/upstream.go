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
		l.node.relaying.Go(func() { l.serveStream(stream) })
	}
}

// serveStream relays one stream to the service that its header names.
func (l *link) serveStream(stream *quic.Stream) {
	stream.SetReadDeadline(time.Now().Add(headerTimeout))
	header, err := framing.ReadStreamHeader(stream)
	if err != nil {
		resetStream(stream, framing.ErrorBadHeader)
		return
	}
	stream.SetReadDeadline(time.Time{})
	if header.Relay != 0 {
		l.association.hear(header.Relay)
	}
	service := l.node.service(header.Service)
	switch {
	case service == nil:
		resetStream(stream, framing.ErrorUnknownService)
	case service.listener != nil:
		service.listener.deliver(l, stream, header)
	default:
		l.relay(stream, service, header)
	}
}

func (l *link) relay(stream *quic.Stream, service *exposed, header *framing.StreamHeader) {
	defer l.node.upstreams.Add(-1)
	if int(l.node.upstreams.Add(1)) > l.node.maxUpstreams { // the session needs some files for itself
		resetStream(stream, framing.ErrorNodeBusy)
		return
	}
	ctx, cancel := context.WithTimeout(stream.Context(), upstreamTimeout)
	upstream, err := l.node.config.DialUpstream(ctx, service.network, service.address)
	cancel()
	service.reached(l, err)
	if err != nil {
		resetStream(stream, upstreamCode(err))
		return
	}
	r := newRelay(&l.carrier, stream, upstream, l.node.memory)
	var association *association
	if header.Relay != 0 {
		association = l.association
	}
	if !r.begin(association, header.Relay) {
		r.abort(framing.ErrorRelayShutdown)
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
