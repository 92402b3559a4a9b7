package datagram

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func listen(t *testing.T, network, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// TestReader: datagrams of every size come whole, one by one, with their senders in one form, also those that
// were there before Read.
func TestReader(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		network, address, to string
		hide                 bool // the socket is not one of the system's
	}{
		{"udp4", "127.0.0.1:0", "127.0.0.1", false}, {"udp6", "[::1]:0", "::1", false}, {"udp", ":0", "127.0.0.1", false},
		{"udp4", "127.0.0.1:0", "127.0.0.1", true},
	} {
		conn := listen(t, test.network, test.address)
		var socket net.PacketConn = conn
		if test.hide {
			socket = struct{ net.PacketConn }{conn}
		}
		r := NewReader(socket)
		to := netip.AddrPortFrom(netip.MustParseAddr(test.to), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
		sender, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		defer sender.Close()
		from := netip.AddrPortFrom(to.Addr(), sender.LocalAddr().(*net.UDPAddr).AddrPort().Port())
		sizes := []int{1, 0, 1472, 9000, 65507}
		go func() {
			for i, size := range sizes {
				if i == 2 {
					time.Sleep(20 * time.Millisecond) // the reader waits
				}
				sender.Write(bytes.Repeat([]byte{byte(i)}, size))
			}
		}()
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		for got := 0; got < len(sizes); {
			err := r.Read(func(payload []byte, sent netip.AddrPort, _ netip.Addr) {
				if len(payload) != sizes[got] || sent != from || !bytes.Equal(payload, bytes.Repeat([]byte{byte(got)}, sizes[got])) {
					t.Errorf("%v: %d bytes from %v, want %d from %v", test, len(payload), sent, sizes[got], from)
				}
				got++
			})
			if err != nil {
				t.Fatalf("%v: %v", test, err)
			}
		}
		conn.SetReadDeadline(time.Now().Add(-time.Second))
		if err := r.Read(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v: with a deadline: %v", test, err)
		}
		conn.Close()
		if err := r.Read(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v: closed: %v", test, err)
		}
	}
}

// TestRefused: an ICMP error does not end a connected socket.
func TestRefused(t *testing.T) {
	t.Parallel()
	upstream := listen(t, "udp4", "127.0.0.1:0")
	address := upstream.LocalAddr().String()
	upstream.Close()
	conn, err := net.Dial("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	r := NewReader(conn.(*net.UDPConn))
	conn.Write([]byte("x"))
	if err := r.Read(nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Skipf("refused: %v", err)
	}
	back := listen(t, "udp4", address)
	conn.Write([]byte("y"))
	buffer := make([]byte, 10)
	_, from, err := back.ReadFrom(buffer)
	if err != nil {
		t.Fatal(err)
	}
	back.WriteTo([]byte("z"), from)
	if err := r.Read(func(payload []byte, _ netip.AddrPort, _ netip.Addr) {
		if string(payload) != "z" {
			t.Errorf("got %q", payload)
		}
	}); err != nil {
		t.Error(err)
	}
}

// TestAnswerFromSameAddress: an answer comes from the address that was asked, whatever the system would
// choose.
func TestAnswerFromSameAddress(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("all of 127.0.0.0/8 is this machine only on Linux")
	}
	for _, network := range []string{"udp", "udp4"} {
		conn := listen(t, network, ":0")
		TellLocal(conn)
		client, err := net.Dial("udp4", fmt.Sprint("127.0.0.2:", conn.LocalAddr().(*net.UDPAddr).Port))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		client.Write([]byte("x"))
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		err = NewReader(conn).Read(func(_ []byte, from netip.AddrPort, local netip.Addr) {
			if local.String() != "127.0.0.2" {
				t.Errorf("%s: sent to %v", network, local)
			}
			if _, _, err := conn.WriteMsgUDPAddrPort([]byte("y"), From(local), from); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		client.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := client.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("%s: %d bytes, %v", network, n, err)
		}
	}
}
