package dial

import (
	"time"

	"github.com/quic-go/quic-go"

	"apquic/quicproxy/internal/conn"
)

const (
	// maxFromServer is how many bytes may come from a server before its Welcome, which may be late, on a lane
	// even behind relays.
	maxFromServer = 1 << 20
	// boundEvery bounds how long more than that may keep coming.
	boundEvery = 10 * time.Millisecond
)

// Bound closes a connection of a node if too much comes before welcomed is closed.
func Bound(connection *quic.Conn, welcomed <-chan struct{}) {
	tick := time.NewTicker(boundEvery)
	defer tick.Stop()
	for {
		select {
		case <-welcomed:
			return
		case <-connection.Context().Done():
			return
		case <-tick.C:
		}
		if connection.ConnectionStats().BytesReceived > maxFromServer {
			conn.Close(connection, conn.ErrTooMuch)
			return
		}
	}
}
