//go:build linux

package hostile

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
)

// strangersMemory is the resident memory that all strangers together may cost a server.
const strangersMemory = 64 << 20

// attack runs hostile against a server with a good node, and checks its cost and that the node was served.
func attack(t *testing.T, hostile func(server *program, invitation certs.Invitation)) {
	t.Helper()
	server, invitation := startServer(t)
	_, public := startNode(t, invitation, echoService(t))
	neighbour := newNeighbour(t, public)
	before := server.cost()
	stop := server.watch(before)
	hostile(server, invitation)
	peak := stop()
	took := server.cost().minus(before)
	t.Logf("the attack cost %v; %d MB at once", took, peak>>20)
	if peak > strangersMemory || took.log > 8<<10 || took.written > 64<<10 {
		t.Errorf("strangers cost the server %d MB, want at most %d MB, and %v", peak>>20, strangersMemory>>20, took)
	}
	neighbour.wasServed(50*time.Millisecond, 5*time.Second)
}

// Strangers that know the server's id open useless streams, in frames of the least size for which QUIC keeps
// a packet's buffer.
func TestStrangersWithStreams(t *testing.T) {
	attack(t, func(_ *program, invitation certs.Invitation) {
		var strangers sync.WaitGroup
		for range 40 {
			conn := dialQUIC(t, invitation, newKey(t), nil)
			strangers.Go(func() {
				var streams []*quic.SendStream
				for {
					stream, err := conn.OpenUniStream()
					if err != nil {
						break
					}
					streams = append(streams, stream)
				}
				for range 64 << 10 / 128 {
					for _, s := range streams {
						s.SetWriteDeadline(time.Now().Add(time.Second))
						if _, err := s.Write(make([]byte, 128)); err != nil {
							return
						}
					}
				}
			})
		}
		strangers.Wait()
		time.Sleep(2 * time.Second) // for real: what is kept is kept for a while
	})
}

// deafSocket loses what its owner wants it to lose.
type deafSocket struct {
	net.PacketConn
	mute, deaf atomic.Bool
}

func (d *deafSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	if d.mute.Load() {
		return len(b), nil
	}
	return d.PacketConn.WriteTo(b, to)
}

func (d *deafSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.PacketConn.ReadFrom(b)
		if err != nil || !d.deaf.Load() {
			return n, from, err
		}
	}
}

// Strangers send their control stream without its beginning, so that none of it can be read, in small frames.
func TestStrangersWithoutBeginning(t *testing.T) {
	attack(t, func(_ *program, invitation certs.Invitation) {
		var strangers sync.WaitGroup
		for range 250 {
			strangers.Go(func() {
				socket := new(deafSocket)
				conn := tryDial(t, invitation, func(pc net.PacketConn) net.PacketConn {
					socket.PacketConn = pc
					return socket
				})
				if conn == nil {
					return
				}
				stream, err := conn.OpenStream()
				if err != nil {
					return // the server has closed it already
				}
				time.Sleep(100 * time.Millisecond) // for real: the handshake is confirmed
				socket.mute.Store(true)
				stream.Write([]byte("x"))
				time.Sleep(10 * time.Millisecond)
				socket.mute.Store(false)
				socket.deaf.Store(true)
				for range 250 {
					stream.SetWriteDeadline(time.Now().Add(time.Second))
					if _, err := stream.Write(make([]byte, 129)); err != nil {
						return
					}
					time.Sleep(500 * time.Microsecond)
				}
				socket.mute.Store(true)
			})
		}
		strangers.Wait()
		time.Sleep(2 * time.Second)
	})
}

// Strangers send handshakes whose first byte is missing, one byte per frame.
func TestStrangersWithCrumbs(t *testing.T) {
	attack(t, func(_ *program, invitation certs.Invitation) {
		sent := 0
		for range 250 {
			socket := knockingSocket(t, invitation)
			packets, offset := newInitials(), uint64(1)
			for offset < 16<<10-300 {
				var frames []byte
				frames, offset = crumbs(offset)
				packet := packets.packet(frames)
				if _, err := socket.WriteTo(packet, serverAddress(t, invitation)); err != nil {
					t.Fatal(err)
				}
				sent += len(packet)
				time.Sleep(200 * time.Microsecond)
			}
		}
		time.Sleep(2 * time.Second)
		t.Logf("%d KB were sent", sent>>10)
	})
}

// Strangers complete the handshake and send nothing more.
func TestStrangersThatAreSilent(t *testing.T) {
	attack(t, func(_ *program, invitation certs.Invitation) {
		var strangers sync.WaitGroup
		for range 32 {
			strangers.Go(func() {
				for range 32 {
					tryDial(t, invitation, func(pc net.PacketConn) net.PacketConn { return pc })
				}
			})
		}
		strangers.Wait()
		time.Sleep(time.Second)
	})
}
