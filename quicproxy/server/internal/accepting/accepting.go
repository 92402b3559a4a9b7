// Package accepting takes connections from listening sockets.
//
// It must not know what becomes of them.
package accepting

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"apquic/quicproxy/server/internal/descriptors"
)

// Run hands over the connections that come to a socket until that is closed or stopped.
func Run(stopping context.Context, socket net.Listener, take func(net.Conn), log *slog.Logger, where slog.Attr) {
	pause := time.Duration(0) // after failures
	for {
		conn, err := socket.Accept()
		switch {
		case err == nil:
			pause = 0
			take(conn)
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			pause = descriptors.AcceptFailed(stopping, log, err, pause, where)
		}
	}
}

// Stop leaves new connections in the queue of a socket.
func Stop(socket net.Listener) {
	if l, ok := socket.(interface{ SetDeadline(time.Time) error }); ok && l.SetDeadline(time.Unix(1, 0)) == nil {
		return
	}
	socket.Close()
}
