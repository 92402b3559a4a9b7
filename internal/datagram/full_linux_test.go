package datagram

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFullSocket: nobody waits for a socket that has no room. It sends to a machine that does not say where it is.
func TestFullSocket(t *testing.T) {
	listen(t, "udp", ":0") // package net looks once what this machine has
	runtime.LockOSThread() // for good: the thread ends with the goroutine, and with it its network
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("no network of its own: ", err)
	}
	for _, args := range [][]string{
		{"link", "add", "here", "type", "veth", "peer", "there"}, {"link", "set", "here", "up"}, {"link", "set", "there", "up"},
		{"address", "add", "10.9.9.1/24", "dev", "here"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Skipf("ip %v: %v %s", args, err, out)
		}
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	socket.SetWriteBuffer(1)
	s, to, begin := NewSender(socket), netip.MustParseAddrPort("10.9.9.2:7"), time.Now()
	full := 0
	for range 100 {
		if err := s.Send(make([]byte, 1000), From(netip.MustParseAddr("10.9.9.1")), to); errors.Is(err, unix.EAGAIN) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); full == 0 || took > time.Second {
		t.Errorf("%d of 100 found no room, and it took %v", full, took)
	}
}
