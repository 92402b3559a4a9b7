package node

import (
	"context"

	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

// heedWakes checks the path at once when the server asks for it.
func (l *link) heedWakes(ctx context.Context) {
	for ctx.Err() == nil {
		var datagram [len(path.WakeDatagram) + 1]byte
		n, _, err := l.transport.ReadNonQUICPacket(ctx, datagram[:])
		if err != nil {
			return
		}
		if string(datagram[:n]) == path.WakeDatagram {
			wait.Signal(l.path.woken)
			wait.Sleep(ctx, path.WakePause)
		}
	}
}
