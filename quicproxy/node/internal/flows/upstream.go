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
	"apquic/quicproxy/internal/flowlimit"
)

const (
	// dialTimeout bounds the lookup of an upstream's name; maxEarly and maxEarlyBytes bound what waits for it of a
	// flow. A larger datagram waits alone, in maxLarge flows.
	dialTimeout, maxEarly, maxEarlyBytes, maxLarge = 10 * time.Second, 16, 8 << 10, 16
	// errorPause follows an error of the socket, which may come again at once.
	errorPause = 10 * time.Millisecond
	// movedPatience is how long the former upstream of a service may be silent while a client of it is not.
	movedPatience = 5 * time.Second
)

// upstream is a flow: the socket over which a client and a service exchange datagrams.
type upstream struct {
	table  *Table
	client client
	public string          // where the client reaches the service
	ctx    context.Context // ends with the flow
	cancel context.CancelFunc
	moved  atomic.Int64 // when the service moved, or answered last since then, in nanoseconds since 1970; 0: it has not moved
	idle   atomic.Int64 // how long the flow may stay over which nothing passes, in nanoseconds

	// Guarded by Table.mu.
	number uint64           // what the server calls it; 0: it has not said yet
	told   bool             // the server has been sent something under this number
	place  *flowlimit.Place // does not change once the flow is in the table
	ended  bool

	mu    sync.Mutex
	out   *datagram.Writer // nil: there is no socket yet
	early [][]byte         // what came before that
	bytes int              // in early
}

func newUpstream(t *Table, who client, public string) *upstream {
	u := &upstream{table: t, client: who, public: public}
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

// deliver sends a payload to the service, or ends the flow, if the service has moved and nothing answers here. The
// client's next datagram then begins another one.
func (u *upstream) deliver(payload []byte) {
	if moved := u.moved.Load(); moved != 0 && time.Now().UnixNano()-moved > int64(movedPatience) {
		u.table.config.Counters.NoFlow.Add(1)
		u.end()
		return
	}
	u.place.Active()
	u.mu.Lock()
	out := u.out
	if out == nil && u.ctx.Err() == nil {
		u.keepLocked(payload)
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

// keepLocked keeps a payload until there is a socket, instead of older ones.
func (u *upstream) keepLocked(payload []byte) {
	for len(u.early) > 0 && (len(u.early) >= maxEarly || u.bytes+len(payload) > maxEarlyBytes) {
		u.forgetLocked(1)
		u.table.config.Counters.Overflow.Add(1)
	}
	if len(payload) > maxEarlyBytes && !u.table.large.Take(maxLarge) {
		u.table.config.Counters.Overflow.Add(1)
		return
	}
	u.early, u.bytes = append(u.early, slices.Clone(payload)), u.bytes+len(payload)
}

// forgetLocked forgets the oldest payloads.
func (u *upstream) forgetLocked(n int) {
	for _, payload := range u.early[:n] {
		if u.bytes -= len(payload); len(payload) > maxEarlyBytes {
			u.table.large.Give()
		}
	}
	u.early = slices.Delete(u.early, 0, n)
}

// run connects to the service and takes what that sends, until the flow ends.
func (u *upstream) run() {
	defer u.table.sockets.Give()
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
	left := u.place.Left(time.Duration(u.idle.Load()))
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
	u.forgetLocked(len(u.early))
	u.out, u.early = out, nil
}

// lose ends the flow, and counts what came for a service that cannot be reached.
func (u *upstream) lose() {
	u.end() // nothing more is kept
	u.mu.Lock()
	defer u.mu.Unlock()
	u.table.config.Counters.Socket.Add(uint64(len(u.early)))
	u.forgetLocked(len(u.early))
}

// take sends what the service sent to the client.
func (u *upstream) take(payload []byte, _ netip.AddrPort, _ netip.Addr) {
	u.place.Active()
	u.place.Answered()
	if u.moved.Load() != 0 {
		u.moved.Store(time.Now().UnixNano())
	}
	via, number := u.table.route(u)
	if via == nil {
		u.table.config.Counters.Away.Add(1)
		return
	}
	via.Send(u.client.service, framing.Datagram{Flow: number, Payload: payload})
}
