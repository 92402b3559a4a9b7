package upstream

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"apquic/framing"
)

// Code tells the server why a dial failed.
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
