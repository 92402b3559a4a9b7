package quicproxy_test

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// TestLargeDatagrams: payloads of every size that UDP has, most of which do not fit into a packet, pass whole
// and alone, on real sockets.
func TestLargeDatagrams(t *testing.T) {
	t.Parallel()
	echo, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	go func() {
		for buffer := make([]byte, 1<<16); ; {
			n, from, err := echo.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			echo.WriteToUDPAddrPort(buffer[:n], from)
		}
	}()
	tunnel := newTunnel(t, Service{Name: "echo", Upstream: "udp://" + echo.LocalAddr().String()})
	client, err := net.Dial("udp4", tunnel.publicUDP(20000))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	buffer := make([]byte, 1<<16)
	for _, size := range []int{0, 1, 1000, 1130, 1200, 1210, 1216, 1404, 1420, 1452, 1472, 4096, 9000, 65507} {
		payload := bytes.Repeat([]byte{byte(size), byte(size >> 8)}, size/2+1)[:size]
		got, err := 0, error(nil)
		for try := 0; try == 0 || err != nil && try < 5; try++ { // UDP may lose some
			if _, err := client.Write(payload); err != nil {
				t.Fatal(err)
			}
			client.SetReadDeadline(time.Now().Add(5 * time.Second))
			got, err = client.Read(buffer)
		}
		if err != nil || !bytes.Equal(buffer[:got], payload) {
			t.Fatalf("%d bytes were sent, %d came back, %v", size, got, err)
		}
	}
}
