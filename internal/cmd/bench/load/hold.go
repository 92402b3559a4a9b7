package load

import (
	"context"
	"net"
	"time"
)

// hold makes connections that stay open: idle ones after one echo each, or ones that have asked for bytes
// without end and do not read them.
func (j Job) hold(ctx context.Context) (conns, error) {
	want, greet := byte(wantEcho), func(conn *net.TCPConn) error {
		message := make([]byte, messageSize)
		_, err := roundTrip(conn, message, message)
		return err
	}
	if j.Kind == Stall {
		want, greet = wantStall, noGreeting
	}
	all, err := j.dialAll(ctx, want, greet)
	for _, conn := range all {
		conn.SetDeadline(time.Time{})
	}
	return all, err
}
