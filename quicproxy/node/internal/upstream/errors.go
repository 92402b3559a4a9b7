package upstream

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy/internal/bytestream"
)

// Refuse ends a client's stream because of the error of a dial. A client that a proxy has told already, in its
// own protocol, gets the end of the stream, any other one a reset.
func Refuse(s interface {
	CloseWrite() error
	CancelRead()
	Discard(framing.ErrorCode)
}, err error) {
	if _, told := errors.AsType[*answeredError](err); told {
		s.CloseWrite()
		s.CancelRead()
		return
	}
	s.Discard(Code(err))
}

// timeout bounds the wait for a connection to a service.
const timeout = 10 * time.Second

// Connect connects for a client with a stream, until that is reset. It logs news; after an error it ends the stream, and
// returns nil.
func (u *Upstream) Connect(s bytestream.Stream, client Client, log *slog.Logger, service string) net.Conn {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.Watch(func(reset bool) {
		if reset {
			cancel() // the client left
		}
	})
	c, err := u.Dial(ctx, client)
	u.Dialled(log, service, err)
	if err != nil {
		Refuse(s, err)
		return nil
	}
	return c
}

// Code is what the other side is told of why a dial failed.
func Code(err error) framing.ErrorCode {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist): // no such unix socket
		return framing.ErrorUpstreamRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return framing.ErrorUpstreamTimeout
	}
	return framing.ErrorUpstreamUnreachable
}

// Reason returns why a dial failed, without its addresses.
func Reason(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		return e.Err
	}
	return err
}

// Dialled logs the first of several failures to reach a service, and their end.
func (u *Upstream) Dialled(log *slog.Logger, service string, err error) {
	switch {
	case !u.IsNews(err):
	case err != nil:
		log.Warn("the service cannot be reached", "service", service, "upstream", u.Origin, "err", Reason(err),
			"hint", cmp.Or(hint.Of(err), "check that it runs and listens there; its clients get a reset until then"))
	default:
		log.Info("the service can be reached again", "service", service)
	}
}
