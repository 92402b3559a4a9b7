package termination

import (
	"crypto/tls"
	"net"
	"sync/atomic"
)

// Decrypted is the connection of a client whose TLS was ended, for a relay: SetLinger(0) has Close reset it instead
// of telling the client that all has come.
type Decrypted struct {
	*tls.Conn
	resets atomic.Bool
}

// SetLinger says whether Close resets the connection (0) or ends it.
func (d *Decrypted) SetLinger(seconds int) error {
	d.resets.Store(seconds == 0)
	if l, ok := d.NetConn().(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(seconds)
	}
	return nil
}

// Close implements net.Conn.
func (d *Decrypted) Close() error {
	if d.resets.Load() {
		return d.NetConn().Close()
	}
	return d.Conn.Close()
}

var _ net.Conn = new(Decrypted)
