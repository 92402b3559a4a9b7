package testnet

import (
	"net/netip"
	"time"
)

// NAT is a router that hides hosts behind one public address. Mapping and filtering depend on the remote
// address and port (RFC 4787 sections 4.1 and 5): each pair of inside and remote address has an outside port
// of its own, and that port lets in packets from that remote address and port alone.
type NAT struct {
	network *Network
	hosts   realm

	// Guarded by network.mu.
	ip      netip.Addr
	cut     bool
	ports   ephemeralPorts
	outside map[flow]uint16
	flows   map[uint16]flow      // the inverse of outside
	used    map[uint16]time.Time // when a mapping was last kept
	timeout time.Duration        // 0: mappings stay for ever
	inbound bool                 // inbound packets also keep a mapping
}

type flow struct{ inside, remote netip.AddrPort }

// NAT adds a NAT with a public address.
func (n *Network) NAT(publicIP string) *NAT {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	nat := &NAT{network: n, hosts: realm{}, ip: n.newIPLocked(n.hosts, publicIP)}
	nat.forgetLocked()
	n.nats[nat.ip] = nat
	return nat
}

// Host adds a host behind the NAT. Hosts behind one NAT reach each other directly.
func (t *NAT) Host(privateIP string) *Host {
	t.network.t.Helper()
	return t.network.addHost(t.hosts, t, privateIP)
}

// Rebind forgets all mappings, as a router's restart does: the next packets from inside get new outside
// ports, and packets to the old ones, even those in flight, are lost.
func (t *NAT) Rebind() {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	t.forgetLocked()
}

// Cut loses every packet that crosses the NAT, silently, as an uplink that is down does.
func (t *NAT) Cut() { t.setCut(true) }

// Restore ends Cut.
func (t *NAT) Restore() { t.setCut(false) }

func (t *NAT) setCut(cut bool) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	t.cut = cut
}

// SetPublicIP gives the NAT another public address and, as masquerading does, forgets all mappings.
func (t *NAT) SetPublicIP(ip string) {
	n := t.network
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.newIPLocked(n.hosts, ip)
	delete(n.nats, t.ip)
	t.ip = a
	n.nats[a] = t
	t.forgetLocked()
}

// SetTimeout makes mappings expire on which no packet was sent for idle, or received if inbound (RFC 4787
// section 4.3); 0, the default: never. It also applies to existing ones.
func (t *NAT) SetTimeout(idle time.Duration, inbound bool) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	t.timeout, t.inbound = idle, inbound
}

func (t *NAT) forgetLocked() {
	t.outside, t.flows, t.used = map[flow]uint16{}, map[uint16]flow{}, map[uint16]time.Time{}
}

// expireLocked forgets a mapping that was idle for too long.
func (t *NAT) expireLocked(port uint16) {
	if t.timeout > 0 && time.Since(t.used[port]) >= t.timeout {
		delete(t.outside, t.flows[port])
		delete(t.flows, port)
		delete(t.used, port)
	}
}

// outboundLocked returns the address under which remote sees a packet of the flow; port 0 when there is no
// port left.
func (t *NAT) outboundLocked(f flow) netip.AddrPort {
	if port, known := t.outside[f]; known {
		t.expireLocked(port)
	}
	port, known := t.outside[f]
	if !known {
		var err error
		if port, err = t.ports.next(t.usedLocked); err != nil {
			return netip.AddrPortFrom(t.ip, 0)
		}
		t.outside[f], t.flows[port] = port, f
	}
	t.used[port] = time.Now()
	return netip.AddrPortFrom(t.ip, port)
}

func (t *NAT) usedLocked(port uint16) bool {
	t.expireLocked(port)
	_, used := t.flows[port]
	return used
}

// arrivedLocked notes a packet that came through a mapping.
func (t *NAT) arrivedLocked(port uint16) {
	if t.inbound {
		t.used[port] = time.Now()
	}
}

// inboundLocked returns the inside socket that a packet reaches, nil if the NAT drops it.
func (t *NAT) inboundLocked(from, to netip.AddrPort) *socket {
	t.expireLocked(to.Port())
	f, known := t.flows[to.Port()]
	if !known || t.cut || to.Addr() != t.ip || f.remote != from {
		return nil
	}
	if h := t.hosts[f.inside.Addr()]; h != nil {
		return h.sockets[f.inside.Port()]
	}
	return nil
}
