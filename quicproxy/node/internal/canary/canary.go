// Package canary answers a server that asks whether a service answers (docs/protocol.md section 6.7).
//
// It must not know what a service is, or how one is asked.
package canary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/node/internal/costs"
	"apquic/quicproxy/node/internal/upstream"
)

// patience is how long a service may take, so that the server has an answer before it gives up.
const patience = 10 * time.Second

// Check returns why a service with this upstream cannot be asked every so often; 0: it is not asked.
func Check(every time.Duration, upstream string) error {
	if network, _, _ := framing.ParseOrigin(upstream); every != 0 && (network == "udp" || network == "socks5") {
		return fmt.Errorf("a canary of %s would always succeed: there is nothing to connect to", upstream)
	}
	return nil
}

// Answer tells the server how it goes to ask a service, within patience and until ctx ends, and ends the stream. ask is
// nil if there is no such service.
func Answer(ctx context.Context, stream quicstream.Stream, counts *costs.Costs, ask func(context.Context) error) {
	code := framing.ErrorUnknownService
	switch {
	case ask == nil:
	case !counts.Dials.Take(costs.MaxDials):
		code = framing.ErrorNodeBusy
	default:
		code = check(ctx, ask)
		counts.Dials.Give()
	}
	if code == framing.NoError {
		code = write(stream)
	}
	if code != framing.NoError {
		quicstream.Reset(stream, code)
	}
}

// check returns the code that says how it went; NoError: the service answers.
func check(ctx context.Context, ask func(context.Context) error) framing.ErrorCode {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := ask(ctx)
	switch {
	case err == nil:
		return framing.NoError
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return framing.ErrorUpstreamTimeout
	}
	return upstream.Code(err)
}

// write says that the service answers, and ends the stream; NoError: it has.
func write(stream quicstream.Stream) framing.ErrorCode {
	frame, err := framing.AppendStreamAnswer(nil, new(framing.StreamAnswer))
	if err == nil {
		stream.SetWriteDeadline(time.Now().Add(patience)) // the server may give it no room
		_, err = quicstream.Write(stream, frame)
	}
	if err != nil {
		return framing.ErrorInternal
	}
	stream.Close()
	stream.CancelRead(0)
	return framing.NoError
}
