package watch

import (
	"context"
	"net"

	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

// Wakes signals woken when the server sends a wake datagram, until ctx ends. read reads the next datagram that is
// not QUIC's.
func Wakes(ctx context.Context, read func(context.Context, []byte) (int, net.Addr, error), woken chan struct{}) {
	for ctx.Err() == nil {
		var datagram [len(path.WakeDatagram) + 1]byte
		n, _, err := read(ctx, datagram[:])
		if err != nil {
			return
		}
		if string(datagram[:n]) == path.WakeDatagram {
			wait.Signal(woken)
			wait.Sleep(ctx, path.WakePause)
		}
	}
}
