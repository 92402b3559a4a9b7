package quicconfig

import (
	"testing"
	"time"
)

// TestQUICConfig: what other parts rely on.
func TestQUICConfig(t *testing.T) {
	t.Parallel()
	const idle = 90 * time.Second
	server, node := Server(idle), Node(idle, time.Second, false)
	if most := uint64(MaxRelays) * MaxStreamWindow; most >= server.InitialConnectionReceiveWindow || most >= node.InitialConnectionReceiveWindow {
		t.Errorf("streams with %d unread bytes stop all others", most)
	}
	if server.Allow0RTT || node.Allow0RTT {
		t.Error("control messages can be replayed")
	}
	if server.KeepAlivePeriod != 0 || node.KeepAlivePeriod <= idle*2/5 || node.KeepAlivePeriod >= idle {
		t.Errorf("QUIC has keepalives of its own every %v at the server, %v at the node", server.KeepAlivePeriod, node.KeepAlivePeriod)
	}
	const udp, ipv4, ipv6, smallest = 8, 20, 40, 1280 // bytes of headers, and of the packets that every link of IPv6 carries
	for overhead, size := range map[uint16]uint16{
		udp + ipv4: node.InitialPacketSize, udp + ipv6: Node(idle, time.Second, true).InitialPacketSize,
	} {
		if size < 1200 || size+overhead > smallest {
			t.Errorf("with headers of %d bytes a packet has %d", overhead, size)
		}
	}
	if !node.DisablePathMTUDiscovery || server.DisablePathMTUDiscovery {
		t.Error("a packet size is discovered by the node, or not by the server")
	}
}
