package flows

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/internal/datagram"
	"apquic/quicproxy/internal/clients"
)

const (
	// dialTimeout bounds the lookup of an upstream's name, and maxEarly how many datagrams wait for it.
	dialTimeout, maxEarly = 10 * time.Second, 16
	// errorPause follows an error of the socket, which may come again at once.
	errorPause = 10 * time.Millisecond
)

// upstream is a flow: the socket over which a client and a service exchange datagrams.
type upstream struct {
	table  *Table
	client client
	public string          // where the client reaches the service
	ctx    context.Context // ends with the flow
	cancel context.CancelFunc
	active atomic.Int64 // when something last passed, in nanoseconds since the flow began
	idle   atomic.Int64 // how long the flow may then stay, in nanoseconds
	begin  time.Time

	// Guarded by Table.mu.
	number uint64 // what the server calls it; 0: it has not said yet
	told   bool   // the server has been sent something under this number
	place  *clients.Place
	ended  bool

	mu    sync.Mutex
	out   *datagram.Writer // nil: there is no socket yet
	early [][]byte         // what came before that
}

func newUpstream(t *Table, who client, public string) *upstream {
	u := &upstream{table: t, client: who, public: public, begin: time.Now()}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	u.setIdle(0)
	return u
}

// setIdle notes for how long the server keeps the flow. The node is not the first to end it.
func (u *upstream) setIdle(seconds uint32) {
	idle := defaultIdle
	if seconds > 0 {
		idle = min(time.Duration(seconds)*time.Second, maxIdle)
	}
	u.idle.Store(int64(idle + max(idle/4, leastLater)))
}

// end ends the flow.
func (u *upstream) end() {
	if u.table.remove(u) {
		u.cancel()
	}
}

func (u *upstream) passed() {
	u.active.Store(int64(time.Since(u.begin)))
	u.place.Active()
}

// deliver sends a payload to the service.
func (u *upstream) deliver(payload []byte) {
	u.passed()
	u.mu.Lock()
	out := u.out
	if out == nil {
		if len(u.early) >= maxEarly {
			u.early = u.early[1:]
			u.table.config.Counters.Overflow.Add(1)
		}
		u.early = append(u.early, slices.Clone(payload))
	}
	u.mu.Unlock()
	if out != nil {
		u.write(out, payload)
	}
}

func (u *upstream) write(out *datagram.Writer, payload []byte) {
	if err := out.Write(payload); err != nil {
		u.table.config.Counters.Socket.Add(1)
	}
}

// run connects to the service and takes what that sends, until the flow ends.
func (u *upstream) run() {
	defer u.end()
	ctx, cancel := context.WithTimeout(u.ctx, dialTimeout)
	conn, prefix, err := u.table.config.Dial(ctx, u.client.service, u.client.address, u.public)
	cancel()
	if err != nil {
		u.lose()
		return
	}
	defer conn.Close()
	defer context.AfterFunc(u.ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	socket, ok := conn.(net.PacketConn)
	if !ok {
		u.lose()
		return
	}
	u.connected(datagram.NewWriter(conn, prefix))
	if !u.stays(conn) {
		return
	}
	for reader := datagram.NewReader(socket); u.ctx.Err() == nil; {
		err := reader.Read(u.take)
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !u.stays(conn) {
				return
			}
		default: // what the service did not take, such as ECONNREFUSED
			u.table.config.Counters.Socket.Add(1)
			time.Sleep(errorPause)
		}
	}
}

// stays reports whether the flow is not idle for too long, and has that checked again when it may be.
func (u *upstream) stays(conn net.Conn) bool {
	left := time.Duration(u.active.Load()+u.idle.Load()) - time.Since(u.begin)
	if left <= 0 || u.ctx.Err() != nil {
		return false
	}
	conn.SetReadDeadline(time.Now().Add(left))
	return u.ctx.Err() == nil // otherwise its deadline was just overwritten
}

// connected sends what came before there was a socket.
func (u *upstream) connected(out *datagram.Writer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, payload := range u.early {
		u.write(out, payload)
	}
	u.out, u.early = out, nil
}

// lose counts what came for a service that cannot be reached.
func (u *upstream) lose() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.table.config.Counters.Socket.Add(uint64(len(u.early)))
	u.early = nil
}

// take sends what the service sent to the client.
func (u *upstream) take(payload []byte, _ netip.AddrPort, _ netip.Addr) {
	u.passed()
	via, number := u.table.route(u)
	if via == nil {
		u.table.config.Counters.Away.Add(1)
		return
	}
	via.Send(u.client.service, framing.Datagram{Flow: number, Payload: payload})
}
