package canary

import (
	"context"
	"errors"
	"fmt"
	"net"

	"apquic/framing"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/quicstream"
)

// ErrGone says that nothing is known: the connection of the node ended before an answer.
var ErrGone = errors.New("the connection of the node has ended")

// Ask asks the node behind c whether a service answers, until ctx ends. Whatever the node sends instead, it costs no more
// than the first window of a stream, until that was reset.
func Ask(ctx context.Context, c *carrier.Conn, service string) error {
	frame, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{Service: service, Canary: true})
	if err != nil {
		return err
	}
	stream, err := c.QUIC.OpenStreamSync(ctx)
	if err != nil {
		return explain(ctx, err)
	}
	defer c.Orphan(stream)
	defer context.AfterFunc(ctx, func() { quicstream.Reset(stream, framing.ErrorUpstreamTimeout) })()
	if _, err := quicstream.Write(stream, frame); err != nil {
		quicstream.Reset(stream, framing.ErrorRelayReset)
		return explain(ctx, err)
	}
	stream.Close()
	_, err = framing.ReadStreamAnswer(stream)
	quicstream.Reset(stream, framing.ErrorRelayReset) // nothing else is expected
	return explain(ctx, err)
}

var errNoAnswer = errors.New("the node does not say whether it answers")

// reasons are what the codes mean that a node may reset a canary with.
var reasons = map[framing.ErrorCode]error{
	framing.ErrorUpstreamRefused:     errors.New("it refuses connections"),
	framing.ErrorUpstreamUnreachable: errors.New("it cannot be reached, or does not pass its check"),
	framing.ErrorUpstreamTimeout:     errors.New("it takes too long to answer"),
	framing.ErrorUnknownService:      errors.New("the node does not have it"),
	framing.ErrorNodeBusy:            errors.New("the node is too busy to ask"),
}

// explain returns what an error of a stream says about the service.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if code, remote := quicstream.RemoteCode(err); remote {
		if reason := reasons[code]; reason != nil {
			return reason
		}
		return fmt.Errorf("the node ends the question with %v", code)
	}
	switch {
	case ctx.Err() != nil:
		return errNoAnswer
	case errors.Is(err, net.ErrClosed): // so are all errors of a connection
		return ErrGone
	}
	return err
}
