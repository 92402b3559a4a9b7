package control

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
)

// doorway is an address with TLS, and who may use it.
type doorway struct {
	address string
	admin   *tls.Config
}

func openDoor(t *testing.T) doorway {
	t.Helper()
	var keys [2]certs.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = certs.GenerateKey(); err != nil {
			t.Fatal(err)
		}
	}
	address, _ := guarded(t, Address{Admins: []certs.NodeID{keys[1].ID()}, Key: keys[0]})
	admin, err := certs.AdminTLS(keys[1])
	if err != nil {
		t.Fatal(err)
	}
	admin.InsecureSkipVerify = true // whose key the server has is not the question here
	return doorway{address, admin}
}

// begins makes a TLS handshake from an address of this machine.
func (d doorway) begins(from string, config *tls.Config) (*tls.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	return tls.DialWithDialer(&dialer, "tcp", d.address, config)
}

// owner asks from an address as the owner, and returns the status; 0: there was no answer.
func (d doorway) owner(from string) int {
	conn, err := d.begins(from, d.admin)
	if err != nil {
		return 0
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// TestAdminHandshakeFlood: an address makes few handshakes at once and a second, and neither it nor all others keep out an
// owner who has been there before.
func TestAdminHandshakeFlood(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("other systems have one loopback address")
	}
	d := openDoor(t)
	const home = "127.1.1.1"
	if status := d.owner(home); status != http.StatusOK {
		t.Fatalf("the owner gets %d", status)
	}
	nobody := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	begun, made := time.Now(), 0
	for range 2 * handshakeBurst {
		if conn, err := d.begins("127.2.2.2", nobody); err == nil {
			made++
			conn.Close()
		}
	}
	if most := handshakeBurst + int(time.Since(begun).Seconds()*handshakeRate) + 1; made > most || made < handshakeBurst {
		t.Errorf("an address made %d handshakes, want %d to %d", made, handshakeBurst, most)
	}
	ended := make(chan struct{})
	var flood sync.WaitGroup
	defer flood.Wait()
	defer close(ended)
	full := make(chan struct{})
	flood.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			default:
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 4, byte(i/250), byte(1+i%250))}}
			if conn, err := dialer.Dial("tcp", d.address); err == nil {
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
			if i == 2*handshakeBurstOfAll {
				close(full)
			}
		}
	})
	<-full
	for i := range 20 { // once may be luck
		if status := d.owner(home); status != http.StatusOK {
			t.Fatalf("during a flood the owner gets %d at try %d", status, i+1)
		}
	}
}

// TestHandshakeRates: all addresses together make so many handshakes at once and a second, and the owner more.
func TestHandshakeRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, next := newHandshakes(nil, nil), 0
		all := func() (made int) {
			for range 4 * handshakeBurstOfAll {
				if next++; h.may(network(fmt.Sprintf("[2001:db8:%x::1]:1", next))) {
					made++
				}
			}
			return made
		}
		if made := all(); made != handshakeBurstOfAll {
			t.Errorf("%d at once", made)
		}
		time.Sleep(time.Second)
		if made := all(); made != handshakeRateOfAll {
			t.Errorf("%d a second later", made)
		}
		home := network("198.51.100.1:1")
		if h.may(home) {
			t.Error("an address that nobody knows has a place of its own")
		}
		h.cameOwner(home)
		made := 0
		for range 2 * handshakeBurst {
			if h.may(home) {
				made++
			}
		}
		if made != handshakeBurst {
			t.Errorf("the owner makes %d", made)
		}
		if n := len(h.each.of); n > maxNetworks {
			t.Errorf("%d addresses are remembered", n)
		}
	})
}

// TestOwnersNetworks: few networks are remembered as the owner's, the last ones.
func TestOwnersNetworks(t *testing.T) {
	t.Parallel()
	h := newHandshakes(nil, nil)
	for i := range 2 * maxOwners {
		h.cameOwner(network(fmt.Sprintf("192.0.2.%d:1", i)))
		h.cameOwner(network("198.51.100.1:1"))
	}
	if n := len(h.owners); n != maxOwners || !h.isOwner(network("198.51.100.1:2")) || h.isOwner(network("192.0.2.0:1")) {
		t.Errorf("%d are remembered", n)
	}
}
