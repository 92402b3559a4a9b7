package testnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// backlog is how many connections wait in a listener for Accept; further attempts are retried.
const backlog = 128

// lastRetry is the last wait of a dial that nobody answers, which gives up after 127 s
// (net.ipv4.tcp_syn_retries = 6, doubling from 1 s).
const lastRetry = 64 * time.Second

// listener is a listening TCP socket.
type listener struct {
	host    *Host
	address netip.AddrPort // without an IP: the wildcard
	queue   chan *tcpConn  // written with network.mu held, while the listener is in host.listeners
	closed  chan struct{}
}

// ListenTCP listens at "ip:port" or, on all addresses of the host, at ":port"; port 0 chooses a free one. A
// port in use is syscall.EADDRINUSE, a foreign address syscall.EADDRNOTAVAIL.
func (h *Host) ListenTCP(address string) (net.Listener, error) {
	at, err := parseAddress(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	ip := at.Addr()
	switch {
	case ip.IsValid() && !ip.IsLoopback() && ip != h.ip:
		err = syscall.EADDRNOTAVAIL
	case at.Port() != 0 && h.listensLocked(at):
		err = syscall.EADDRINUSE
	case at.Port() == 0:
		at, err = h.ephemeralLocked(ip)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: listenAddr(at), Err: os.NewSyscallError("bind", err)}
	}
	l := &listener{host: h, address: at, queue: make(chan *tcpConn, backlog), closed: make(chan struct{})}
	h.listeners[at] = l
	n.open[l] = struct{}{}
	return l, nil
}

// listensLocked reports whether a listener of the host uses the address.
func (h *Host) listensLocked(at netip.AddrPort) bool {
	for other := range h.listeners {
		ip := other.Addr()
		if other.Port() == at.Port() && (ip == at.Addr() || !ip.IsValid() || !at.Addr().IsValid()) {
			return true
		}
	}
	return false
}

func (h *Host) ephemeralLocked(ip netip.Addr) (netip.AddrPort, error) {
	port, err := h.ports.next(func(port uint16) bool { return h.listensLocked(netip.AddrPortFrom(ip, port)) })
	return netip.AddrPortFrom(ip, port), err
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close frees the address, ends Accept with net.ErrClosed and resets the connections that wait for it.
func (l *listener) Close() error {
	n := l.host.network
	n.mu.Lock()
	_, open := n.open[l]
	if open {
		delete(n.open, l)
		delete(l.host.listeners, l.address)
		close(l.closed)
	}
	n.mu.Unlock()
	if !open {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	for {
		select {
		case c := <-l.queue:
			c.SetLinger(0)
			c.Close()
		default:
			return nil
		}
	}
}

func (l *listener) Addr() net.Addr { return listenAddr(l.address) }

func listenAddr(at netip.AddrPort) *net.TCPAddr {
	if !at.Addr().IsValid() {
		return &net.TCPAddr{IP: net.IPv6unspecified, Port: int(at.Port())}
	}
	return net.TCPAddrFromAddrPort(at)
}

// DialTCP connects to "ip:port". Nobody listening is syscall.ECONNREFUSED. When there is no answer (no such
// host, a host cut off, a full backlog) it tries again as the kernel does, until ctx ends or, after 127 s,
// with syscall.ETIMEDOUT; the end of the test also ends it. A loopback address is the host itself.
func (h *Host) DialTCP(ctx context.Context, address string) (net.Conn, error) {
	to, err := parseAddress(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	if !to.Addr().IsValid() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port())
	}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	for wait := time.Second; ctx.Err() == nil; wait *= 2 {
		c, err := h.connect(to)
		if err != nil {
			return fail(os.NewSyscallError("connect", err))
		}
		if c != nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
		case <-h.network.t.Context().Done():
			return fail(net.ErrClosed)
		case <-time.After(wait):
			if wait == lastRetry {
				return fail(os.NewSyscallError("connect", syscall.ETIMEDOUT))
			}
		}
	}
	return fail(ctx.Err())
}

// connect returns neither a connection nor an error when nobody answers.
func (h *Host) connect(to netip.AddrPort) (*tcpConn, error) {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	ip := h.ip
	target, nat := h.findLocked(to.Addr())
	if to.Addr().IsLoopback() {
		ip, target, nat = to.Addr(), h, nil
	}
	if target == nil || target != h && (h.cut || target.cut) {
		return nil, nil
	}
	l := target.listeners[to]
	if l == nil {
		l = target.listeners[netip.AddrPortFrom(netip.Addr{}, to.Port())]
	}
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	local, err := h.ephemeralLocked(ip)
	if err != nil {
		return nil, err
	}
	seenAs := local
	if nat != nil {
		port, err := nat.ports.next(nat.usedLocked)
		if err != nil {
			return nil, nil
		}
		seenAs = netip.AddrPortFrom(nat.ip, port)
	}
	dialed, accepted := newTCPPair(n, local, seenAs, to)
	select {
	case l.queue <- accepted:
	default:
		return nil, nil
	}
	n.open[dialed], n.open[accepted] = struct{}{}, struct{}{}
	return dialed, nil
}

// parseAddress reads "ip:port"; the wildcard, also ":port", has no IP.
func parseAddress(address string) (netip.AddrPort, error) {
	if strings.HasPrefix(address, ":") {
		address = "0.0.0.0" + address
	}
	at, err := netip.ParseAddrPort(address)
	ip := at.Addr().Unmap()
	if err != nil || ip.IsUnspecified() {
		ip = netip.Addr{}
	}
	return netip.AddrPortFrom(ip, at.Port()), err
}
