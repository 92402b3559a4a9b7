package public

import (
	"net"
	"net/netip"

	"apquic/internal/datagram"
	"apquic/lease"
	"apquic/quicproxy/server/internal/descriptors"
)

// noPort is what cannot be done without a descriptor.
const noPort = "no further public port can be opened"

func (config *Config) setDefaults() {
	if config.Listen == nil {
		config.Listen = func(port uint16) (net.Listener, error) { return net.ListenTCP("tcp", &net.TCPAddr{Port: int(port)}) }
	}
	if config.ListenPacket == nil {
		config.ListenPacket = func(port uint16) (net.PacketConn, error) { return net.ListenUDP("udp", &net.UDPAddr{Port: int(port)}) }
	}
	if config.Ended == nil {
		config.Ended = func(uint16) {}
	}
}

// open opens the sockets of a transport, or none.
func (p *Listener) open(transport lease.Transport) error {
	config := &p.all.config
	if p.descriptors = 1; transport == lease.TCPAndUDP {
		p.descriptors = 2
	}
	if !config.Clients.Reserve(p.descriptors) {
		return descriptors.None(p.all.log, noPort)
	}
	err := p.listen(transport)
	if err == nil {
		return nil
	}
	p.closeSockets()
	if p.listener != nil {
		config.Ended(p.Port)
	}
	if descriptors.IsShortage(err) {
		return descriptors.None(p.all.log, noPort)
	}
	return err
}

func (p *Listener) listen(transport lease.Transport) (err error) {
	if transport.HasTCP() {
		if p.listener, err = p.all.config.Listen(p.Port); err != nil {
			p.listener = nil
			return err
		}
	}
	if transport.HasUDP() {
		socket, err := p.all.config.ListenPacket(p.Port)
		if err != nil {
			return err
		}
		datagram.TellLocal(socket)
		p.udp = &udpPort{listener: p, socket: socket, sender: datagram.NewSender(socket), flows: make(map[netip.AddrPort]*clientFlow)}
	}
	return nil
}

// closeSockets closes the sockets and gives their descriptors back.
func (p *Listener) closeSockets() {
	p.closing.Do(func() {
		if p.listener != nil {
			p.listener.Close()
		}
		if p.udp != nil {
			p.udp.socket.Close()
		}
		p.all.config.Clients.Reserve(-p.descriptors)
	})
}
