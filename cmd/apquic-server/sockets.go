package main

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"apquic/internal/settings"
	"apquic/internal/systemd"
	"apquic/quicproxy/server"
)

const (
	// closing is how long systemd may take to close a socket after a barrier, since it does so in another
	// thread.
	closing = 256 * time.Millisecond
	// lately is how long closed sockets are remembered, and maxLately how many.
	lately, maxLately = 10 * time.Second, 1024
)

// sockets outlive the process where systemd keeps them: clients that come during a restart wait in them for
// the next process.
type sockets struct {
	config  settings.Server
	manager *systemd.Manager // nil: there is none
	log     *slog.Logger
	packets sync.Map // ports that had a UDP socket

	mu     sync.Mutex
	lately map[string]time.Time // when each socket was closed
}

func newSockets(config settings.Server, log *slog.Logger) *sockets {
	return &sockets{config: config, manager: systemd.FromEnvironment(), log: log, lately: make(map[string]time.Time)}
}

// open has the server open its public ports here, if it can open one.
func (s *sockets) open(parts *server.Config) error {
	if s.manager.Inherited() == 0 { // otherwise it has some already
		if err := tryRange(s.config.Range, parts.ListenPublic); err != nil {
			return err
		}
	}
	parts.ListenPublic, parts.ListenPublicPacket = s.listenPublic(), s.listenPublicPacket()
	parts.LeaseEnded, parts.Restarting = s.leaseEnded, s.stops
	return nil
}

// tidy closes sockets opened with other settings, which may have the very ports that are about to be opened.
func (s *sockets) tidy() {
	keep := []string{s.udpName(), s.sharedName(s.config.HTTP), s.sharedName(s.config.HTTPS)}
	tcp, packet := s.tcpName(""), s.packetName("")
	names, err := s.manager.CloseRest(func(name string) bool {
		return slices.Contains(keep, name) || strings.HasPrefix(name, tcp) || strings.HasPrefix(name, packet)
	})
	if len(names) > 0 {
		err = errors.Join(err, s.manager.Barrier())
		time.Sleep(closing)
	}
	if err != nil {
		s.log.Debug("sockets of other settings", "err", err)
	}
}

// listenUDP returns the socket that nodes connect to.
func (s *sockets) listenUDP() (*net.UDPConn, error) {
	name := s.udpName()
	if file := s.manager.Take(name); file != nil {
		defer file.Close()
		conn, err := net.FilePacketConn(file)
		if udp, ok := conn.(*net.UDPConn); ok {
			return udp, nil
		}
		if err == nil {
			conn.Close()
		}
		s.discard(name)
	}
	conn, err := listenUDP(s.config)
	if err == nil {
		s.store(name, conn)
	}
	return conn, err
}

// listenShared returns the socket at an address for the clients of domains; nil: the address is empty.
func (s *sockets) listenShared(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	name := s.sharedName(address)
	if s.manager != nil {
		_, digits, _ := net.SplitHostPort(address)
		port, _ := strconv.ParseUint(digits, 10, 16) // valid, as settings say
		if listener := s.inherited(name, uint16(port)); listener != nil {
			return listener, nil
		}
	}
	listener, err := listenShared(s.config, address)
	if err != nil {
		return nil, err
	}
	s.store(name, listener)
	return listener, nil
}

// listenPublic returns how to open public listeners.
func (s *sockets) listenPublic() func(port uint16) (net.Listener, error) {
	listen := publicListener(s.config)
	if s.manager == nil {
		return listen
	}
	return func(port uint16) (net.Listener, error) {
		name := s.tcpName(strconv.Itoa(int(port)))
		if listener := s.inherited(name, port); listener != nil {
			return listener, nil
		}
		listener, err := open(s, name, func() (net.Listener, error) { return listen(port) })
		if err == nil {
			s.store(name, listener.(*net.TCPListener))
		}
		return listener, err
	}
}

// listenPublicPacket returns how to open public UDP sockets.
func (s *sockets) listenPublicPacket() func(port uint16) (net.PacketConn, error) {
	listen := publicPacketListener(s.config)
	if s.manager == nil {
		return listen
	}
	return func(port uint16) (net.PacketConn, error) {
		name := s.packetName(strconv.Itoa(int(port)))
		s.packets.Store(port, true)
		if conn := s.inheritedPacket(name, port); conn != nil {
			return conn, nil
		}
		conn, err := open(s, name, func() (net.PacketConn, error) { return listen(port) })
		if err == nil {
			s.store(name, conn.(*net.UDPConn))
		}
		return conn, err
	}
}

// open opens a socket, of which systemd may be about to close an earlier one.
func open[T any](s *sockets, name string, listen func() (T, error)) (socket T, err error) {
	socket, err = listen()
	if errors.Is(err, syscall.EADDRINUSE) && s.closedLately(name) && s.manager.Barrier() == nil {
		for pause := time.Millisecond; pause <= closing && errors.Is(err, syscall.EADDRINUSE); pause *= 2 {
			time.Sleep(pause)
			socket, err = listen()
		}
	}
	return socket, err
}

// inheritedPacket returns the previous process's UDP socket at a port; nil: there is none.
func (s *sockets) inheritedPacket(name string, port uint16) *net.UDPConn {
	file := s.manager.Take(name)
	if file == nil {
		return nil
	}
	defer file.Close()
	conn, err := net.FilePacketConn(file)
	if udp, ok := conn.(*net.UDPConn); ok && udp.LocalAddr().(*net.UDPAddr).Port == int(port) {
		return udp
	}
	if err == nil {
		conn.Close()
	}
	s.discard(name)
	return nil
}

// inherited returns the previous process's listener at a port; nil: there is none.
func (s *sockets) inherited(name string, port uint16) *net.TCPListener {
	file := s.manager.Take(name)
	if file == nil {
		return nil
	}
	defer file.Close()
	listener, err := net.FileListener(file)
	if tcp, ok := listener.(*net.TCPListener); ok && tcp.Addr().(*net.TCPAddr).Port == int(port) {
		return tcp
	}
	if err == nil {
		listener.Close()
	}
	s.discard(name)
	return nil
}

// discard removes a socket that is not what its name says from the store, before another one gets that name.
func (s *sockets) discard(name string) {
	s.log.Warn("a socket of the previous process cannot be used", "socket", name)
	s.remove(name)
}

// leaseEnded removes the sockets of a port from the store, since its lease has ended. All others stay there,
// however this process ends, and the next one serves them.
func (s *sockets) leaseEnded(port uint16) {
	number := strconv.Itoa(int(port))
	s.remove(s.tcpName(number))
	if _, had := s.packets.LoadAndDelete(port); had {
		s.remove(s.packetName(number))
	}
}

// remove makes systemd close a socket, and notes that, because for a moment its port is not free yet.
func (s *sockets) remove(name string) {
	s.closed(name)
	if err := s.manager.Remove(name); err != nil {
		s.log.Debug("a socket stays in the store of systemd", "err", err)
	}
}

// store keeps a socket. It is needed only at the next restart, so a failure stops nothing.
func (s *sockets) store(name string, socket syscall.Conn) {
	if err := s.manager.Store(name, socket); err != nil {
		s.log.Debug("a socket will not outlive this process", "err", err)
	}
}

// closeRest closes sockets of the previous process that this one does not need, such as the ports of leases
// that ended.
func (s *sockets) closeRest() {
	names, err := s.manager.CloseRest(nil)
	for _, name := range names {
		s.closed(name)
	}
	if err != nil {
		s.log.Debug("sockets of the previous process", "err", err)
	}
}

// stops is called when the server stops, and reports whether another process may follow. systemd does not say
// whether it restarts the service; a node that tries to return at once in vain has lost nothing.
func (s *sockets) stops() (restarting bool) {
	s.notify(systemd.Stopping)
	return s.manager != nil
}

func (s *sockets) notify(state string) {
	if err := s.manager.Notify(state); err != nil {
		s.log.Warn("systemd cannot be told the state of the service", "state", state, "err", err)
	}
}

// closed notes that systemd was told to close a socket.
func (s *sockets) closed(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lately) >= maxLately {
		clear(s.lately)
	}
	s.lately[name] = time.Now()
}

// closedLately reports whether systemd may still have a socket open that it was told to close.
func (s *sockets) closedLately(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.lately[name]
	return ok && time.Since(at) < lately
}

func (s *sockets) udpName() string { return socketName("udp", s.config, s.config.Listen) }

func (s *sockets) sharedName(address string) string { return socketName("shared", s.config, address) }

func (s *sockets) tcpName(port string) string {
	return socketName("tcp", s.config, s.config.PublicListen, port)
}

func (s *sockets) packetName(port string) string {
	return socketName("packet", s.config, s.config.PublicListen, port)
}

// socketName contains everything a socket depends on: one opened with other settings has another name, and is
// closed.
func socketName(kind string, config settings.Server, parts ...string) string {
	name := kind + family(config) + "-" + strings.Join(parts, "-")
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == ':' {
			return '_'
		}
		return r
	}, name)
}
