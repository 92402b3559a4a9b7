package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"apquic/internal/hint"
	"apquic/internal/settings"
	"apquic/lease"
)

// listenUDP opens the socket that nodes connect to.
func listenUDP(config settings.Server) (*net.UDPConn, error) {
	conn, err := net.ListenPacket("udp"+family(config), config.Listen)
	if err == nil {
		return conn.(*net.UDPConn), nil
	}
	err = fmt.Errorf("cannot listen for nodes on UDP %s: %w", config.Listen, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, hint.Add(err, "another program uses this port, perhaps another apquic-server: stop it, or choose another port with --listen")
	case errors.Is(err, syscall.EACCES):
		return nil, hint.Add(err, "ports below 1024 need privileges: choose a higher one with --listen")
	}
	return nil, hint.Add(err, "--listen takes an address of this machine and a port, or just :8090")
}

// listenShared opens a port for the clients of domains.
func listenShared(config settings.Server, address string) (*net.TCPListener, error) {
	listener, err := net.Listen("tcp"+family(config), address)
	if err == nil {
		return listener.(*net.TCPListener), nil
	}
	err = fmt.Errorf("cannot listen for clients of domains on TCP %s: %w", address, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, hint.Add(err, "another program uses this port, perhaps a web server: stop it, or give it another port and its names to a node")
	case errors.Is(err, syscall.EACCES):
		return nil, hint.Add(err, "ports below 1024 need privileges: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit file, or setcap cap_net_bind_service=+ep apquic-server")
	}
	return nil, hint.Add(err, "--http and --https take an address of this machine and a port, or just :443")
}

// publicListener returns how to open public listeners, on one address or on all of the enabled families.
func publicListener(config settings.Server) func(port uint16) (net.Listener, error) {
	network := "tcp" + family(config)
	address, _ := netip.ParseAddr(config.PublicListen) // valid or empty
	return func(port uint16) (net.Listener, error) {
		return net.ListenTCP(network, net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, port)))
	}
}

// publicPacketListener does the same for UDP.
func publicPacketListener(config settings.Server) func(port uint16) (net.PacketConn, error) {
	network := "udp" + family(config)
	address, _ := netip.ParseAddr(config.PublicListen) // valid or empty
	return func(port uint16) (net.PacketConn, error) {
		return net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, port)))
	}
}

// family is the suffix of a network's name ("4", "6" or "") for the enabled address families.
func family(config settings.Server) string {
	switch {
	case !config.IPv6:
		return "4"
	case !config.IPv4:
		return "6"
	}
	return ""
}

// tryRange fails if no port of the range can be opened: better now than with the first node.
func tryRange(ports lease.PortRange, listen func(port uint16) (net.Listener, error)) error {
	var first error
	for port := range ports.All() {
		listener, err := listen(port)
		if err == nil {
			return listener.Close()
		}
		if first == nil {
			first = err
		}
	}
	err := fmt.Errorf("no port of the range %v can be opened: %w", ports, first)
	if errors.Is(first, syscall.EADDRNOTAVAIL) {
		return hint.Add(err, "--public-listen takes an address that this machine has")
	}
	if errors.Is(first, syscall.EACCES) {
		return hint.Add(err, "ports below 1024 need privileges: choose higher ones with --range")
	}
	return hint.Add(err, "other programs use them: choose other ports with --range")
}
