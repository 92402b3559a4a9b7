// Package doze is how a client that came over TCP waits: until there is news, its time is over, or it leaves.
//
// It must not read from the client, or know what is waited for.
package doze

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
)

// Doze is a wait. Its goroutine waits for the client's socket, to notice when the client leaves, so a read deadline on
// the socket wakes it.
type Doze struct {
	Until time.Time

	client net.Conn
	socket syscall.RawConn // nil: whether the client left cannot be seen
	woken  chan struct{}   // has room for one; used without a socket
}

// New returns the wait of a client until a time.
func New(client net.Conn, until time.Time) Doze {
	return Doze{Until: until, client: client, socket: waitable(client), woken: make(chan struct{}, 1)}
}

// End lets the connection be read again.
func (d *Doze) End() {
	if d.socket != nil {
		d.client.SetReadDeadline(time.Time{})
	}
}

// Wake ends Wait, even one that has not begun, unless Arm follows.
func (d *Doze) Wake() {
	if d.socket != nil {
		d.client.SetReadDeadline(time.Unix(1, 0))
	}
	wait.Signal(d.woken)
}

// Arm clears an earlier Wake.
func (d *Doze) Arm() {
	if d.socket != nil {
		d.client.SetReadDeadline(d.Until)
	}
	select {
	case <-d.woken:
	default:
	}
}

// Wait waits, and reports whether the client left. One that has asked for something may have closed its direction.
func (d *Doze) Wait(asked bool) (left bool) {
	if d.socket == nil {
		timer := time.NewTimer(time.Until(d.Until))
		defer timer.Stop()
		select {
		case <-d.woken:
		case <-timer.C:
		}
		return false
	}
	err := d.socket.Read(func(fd uintptr) bool { return relay.HasLeft(fd, asked) })
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// waitable returns the socket of a connection if relay.HasLeft works on it; nil otherwise.
func waitable(conn net.Conn) syscall.RawConn {
	c, ok := conn.(syscall.Conn)
	if !ok || !relay.TellsLeft {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
