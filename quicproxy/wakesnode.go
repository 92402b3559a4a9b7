package quicproxy

import (
	"context"

	"apquic/quicproxy/internal/conn"
)

// heedWakes has the path watched at once when the server asks for it.
func (l *link) heedWakes(ctx context.Context) {
	for ctx.Err() == nil {
		var datagram [len(conn.WakeDatagram) + 1]byte
		n, _, err := l.transport.ReadNonQUICPacket(ctx, datagram[:])
		if err != nil {
			return
		}
		if string(datagram[:n]) == conn.WakeDatagram {
			signal(l.path.woken)
			sleep(ctx, wakePause)
		}
	}
}
