package datagram

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// TestSender: datagrams of every size reach clients of both families over a socket of each kind, from the address
// that they sent to.
func TestSender(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ network, address, client string }{
		{"udp", ":0", "127.0.0.1:0"}, {"udp", ":0", "[::1]:0"}, {"udp4", "127.0.0.1:0", "127.0.0.1:0"}, {"udp6", "[::1]:0", "[::1]:0"},
	} {
		socket, client := listen(t, test.network, test.address), listen(t, "udp", test.client)
		to := client.LocalAddr().(*net.UDPAddr).AddrPort()
		s := NewSender(socket)
		for _, size := range []int{0, 1, 1400, 60000} {
			payload := bytes.Repeat([]byte{7}, size)
			if err := s.Send(payload, From(to.Addr()), to); err != nil {
				t.Fatalf("%v: %d bytes: %v", test, size, err)
			}
			client.SetReadDeadline(time.Now().Add(10 * time.Second))
			got := make([]byte, 1<<16)
			n, from, err := client.ReadFromUDPAddrPort(got)
			if err != nil || !bytes.Equal(got[:n], payload) || from.Addr().Unmap() != to.Addr() {
				t.Errorf("%v: %d of %d bytes from %v, %v", test, n, size, from, err)
			}
		}
		if err := s.Send(make([]byte, 1<<17), nil, to); err == nil {
			t.Errorf("%v: what is too large is sent", test)
		}
		socket.Close()
		if err := s.Send(nil, nil, to); err == nil {
			t.Errorf("%v: a closed socket sends", test)
		}
	}
}

// TestSendWithoutMemory: sending allocates nothing.
func TestSendWithoutMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("control messages are those of Linux")
	}
	socket, client := listen(t, "udp", ":0"), listen(t, "udp4", "127.0.0.1:0")
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), client.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	s, payload, control := NewSender(socket), make([]byte, 1000), From(to.Addr())
	if n := testing.AllocsPerRun(1000, func() { s.Send(payload, control, to) }); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}
