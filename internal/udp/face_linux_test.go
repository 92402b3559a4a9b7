package udp

import (
	"bytes"
	"encoding/binary"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

var _ quic.OOBCapablePacketConn = (*batchConn)(nil)

// controlMessage is one control message with a value of two bytes (the size of segments) or one (TOS).
func controlMessage(level, kind, size int, value uint16) []byte {
	b := make([]byte, unix.CmsgSpace(size))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(size))
	if size == 1 {
		b[unix.CmsgLen(0)] = byte(value)
	} else {
		binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], value)
	}
	return b
}

func segmented(size uint16) []byte {
	return controlMessage(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2, size)
}

// numbered is a payload of which each segment says its number.
func numbered(length, segment int) []byte {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(i / segment)
	}
	return b
}

// TestReceiveSegments receives what a sender with GSO sends.
func TestReceiveSegments(t *testing.T) {
	t.Parallel()
	c := newConn(t, loopback)
	face := c.PacketConn().(*batchConn)
	check(t, setOption(c, unix.IPPROTO_IP, unix.IP_RECVTOS, 1))
	sender := newSocketOfTheSystem(t)
	to := face.LocalAddr().(*net.UDPAddr)
	oob := append(segmented(1200), controlMessage(unix.IPPROTO_IP, unix.IP_TOS, 1, 2)...)
	sent := numbered(1200*15+300, 1200)
	ms := make([]ipv4.Message, 4)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 128)}
	}
	for range 3 {
		if _, _, err := sender.WriteMsgUDP(numbered(1500*3, 1500), segmented(1500), to); err != nil { // too long
			t.Fatal(err)
		}
		if _, _, err := sender.WriteMsgUDP(sent, oob, to); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for len(got) < len(sent) {
			n, err := face.ReadBatch(ms, 0)
			check(t, err)
			for _, m := range ms[:n] {
				if want := min(1200, len(sent)-len(got)); m.N != want {
					t.Fatalf("a datagram of %d bytes, want %d", m.N, want)
				}
				got = append(got, m.Buffers[0][:m.N]...)
				if m.Addr.String() != sender.LocalAddr().String() {
					t.Fatalf("from %v", m.Addr)
				}
				h, tos, rest, err := unix.ParseOneSocketControlMessage(m.OOB[:m.NN])
				if err != nil || h.Type != unix.IP_TOS || tos[0]&3 != 2 || len(rest) != 0 {
					t.Fatalf("control messages %x", m.OOB[:m.NN])
				}
			}
		}
		if !bytes.Equal(got, sent) {
			t.Fatal("received something else")
		}
	}
}

// TestGRO shows that segments arrive as one message.
func TestGRO(t *testing.T) {
	t.Parallel()
	c := newConn(t, loopback)
	sender := newSocketOfTheSystem(t)
	if _, _, err := sender.WriteMsgUDP(numbered(3000, 1000), segmented(1000), c.PacketConn().LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
	b, err := c.receive()
	check(t, err)
	if m := b.messages[0]; len(b.messages) != 1 || len(m.data) != 3000 || m.segment != 1000 {
		t.Errorf("%d messages, the first has %d bytes in segments of %d", len(b.messages), len(m.data), m.segment)
	}
	b.release()
}

// TestRepeatSegment: the last segment alone is repeated, from all sockets.
func TestRepeatSegment(t *testing.T) {
	t.Parallel()
	peer := newSocketOfTheSystem(t)
	c := newConn(t, loopback)
	c.KeepLast()
	to := peer.LocalAddr().(*net.UDPAddr)
	if _, _, err := c.PacketConn().(*batchConn).WriteMsgUDP([]byte("onetwothreeend"[:13]), segmented(5), to); err != nil {
		t.Fatal(err)
	}
	var from net.Addr
	for _, want := range []string{"onetw", "othre", "een"} {
		from = receiveText(t, peer, want)
	}
	answer(t, c, peer, from)
	check(t, c.Swap())
	c.Repeat()
	one, other := receiveText(t, peer, "een"), receiveText(t, peer, "een")
	if one.String() == other.String() {
		t.Errorf("both came from %v", one)
	}
}

// TestUnreachableFamily: an address that the socket cannot reach is an error like others.
func TestUnreachableFamily(t *testing.T) {
	t.Parallel()
	c := newConn(t, loopback)
	to := &net.UDPAddr{IP: net.ParseIP("2001:db8::1"), Port: 1}
	if n, _, err := c.PacketConn().(*batchConn).WriteMsgUDP([]byte("x"), nil, to); n != 1 || err != nil {
		t.Error(n, err)
	}
	if c.Trouble() != 1 {
		t.Errorf("counted %d errors", c.Trouble())
	}
}

func setOption(c *Conn, level, name, value int) (err error) {
	control(c.newest.Load().PacketConn, func(fd int) { err = unix.SetsockoptInt(fd, level, name, value) })
	return err
}

// TestOptions: a new socket has what quic-go has set on the first.
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp4", "udp6", "udp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			c, err := Open(func() (net.PacketConn, error) { return net.ListenUDP(network, nil) })
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { c.Close() })
			transport := transport(t, c.PacketConn())
			_, err = transport.Listen(selfSigned(t), nil)
			check(t, err)
			first := allOptions(c)
			for range 4 {
				check(t, c.Swap())
				if now := allOptions(c); now != first {
					t.Errorf("options are\n%v, want\n%v", now, first)
				}
			}
			if family := max(first[0], first[1]); family != 1 {
				t.Errorf("quic-go has not set its options: %v", first)
			}
		})
	}
}

func allOptions(c *Conn) (values [9]int) {
	control(c.newest.Load().PacketConn, func(fd int) {
		for i, o := range options {
			values[i] = -1
			if v, err := unix.GetsockoptInt(fd, o.level, o.name); err == nil {
				values[i] = v
			}
		}
		for i, b := range buffers {
			values[6+i], _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, b.name)
		}
		values[8], _ = unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO)
	})
	return values
}

func TestSenderAddress(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp4", "udp6", "udp"} {
		c, err := Open(func() (net.PacketConn, error) { return net.ListenUDP(network, nil) })
		if err != nil {
			t.Logf("%s: %v", network, err)
			continue
		}
		defer c.Close()
		for _, ip := range []string{"127.0.0.1", "::1"} {
			sender, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
			if err != nil {
				t.Log(err)
				continue
			}
			defer sender.Close()
			to := &net.UDPAddr{IP: net.ParseIP(ip), Port: c.PacketConn().LocalAddr().(*net.UDPAddr).Port}
			if (network == "udp4" && ip == "::1") || (network == "udp6" && ip == "127.0.0.1") {
				continue
			}
			for range 2 {
				send(t, sender, "hello", to)
				from := receiveText(t, c.PacketConn(), "hello").(*net.UDPAddr)
				if local := sender.LocalAddr().(*net.UDPAddr); !from.IP.Equal(local.IP) || from.Port != local.Port || from.Zone != "" {
					t.Errorf("%s: from %v, want %v", network, from, local)
				}
			}
		}
	}
}

func TestZone(t *testing.T) {
	t.Parallel()
	var n name
	binary.NativeEndian.PutUint16(n[:], unix.AF_INET6)
	binary.BigEndian.PutUint16(n[2:], 443)
	copy(n[8:], net.ParseIP("fe80::1"))
	binary.NativeEndian.PutUint32(n[24:], 1) // the loopback interface
	i, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Skip(err)
	}
	if got, want := n.address().String(), "[fe80::1%"+i.Name+"]:443"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestReadersAllocateNothing in the steady state.
func TestReadersAllocateNothing(t *testing.T) {
	c := newConn(t, loopback)
	face := c.PacketConn().(*batchConn)
	sender := newSocketOfTheSystem(t)
	to := face.LocalAddr().(*net.UDPAddr).AddrPort()
	ms := []ipv4.Message{{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 128)}}
	data := []byte("hello")
	allocations := testing.AllocsPerRun(1000, func() {
		sender.WriteToUDPAddrPort(data, to)
		if n, err := face.ReadBatch(ms, 0); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	})
	if allocations > 0 && !raceEnabled {
		t.Errorf("%v allocations for each read", allocations)
	}
}

// TestIdleConnsHoldNoBuffer: 64 KiB each would be much for ten thousand nodes.
func TestIdleConnsHoldNoBuffer(t *testing.T) {
	const conns = 200
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the pool keeps what it has for one more
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	sender := newSocketOfTheSystem(t)
	before := heap()
	read := make(chan struct{})
	for range conns {
		c := newConn(t, loopback)
		face := c.PacketConn().(*batchConn)
		go func() {
			ms := []ipv4.Message{{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 128)}}
			for {
				if _, err := face.ReadBatch(ms, 0); err != nil {
					return
				}
				read <- struct{}{}
			}
		}()
		send(t, sender, "hello", face.LocalAddr())
		<-read
	}
	for waiting := 0; waiting < conns; runtime.Gosched() {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		waiting = strings.Count(string(stacks), "[IO wait")
	}
	each := (heap() - before) / conns
	t.Logf("%d bytes each", each)
	if each > 20<<10 && !raceEnabled {
		t.Errorf("an idle Conn holds %d bytes", each)
	}
}

// TestFairness: an old path in full use does not hide what comes on the new one.
func TestFairness(t *testing.T) {
	t.Parallel()
	c := newConn(t, loopback)
	face := c.PacketConn()
	sender, other := newSocketOfTheSystem(t), newSocketOfTheSystem(t)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	defer func() { close(stop); <-stopped }()
	old := face.LocalAddr()
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				sender.WriteMsgUDP(numbered(30000, 1200), segmented(1200), old.(*net.UDPAddr))
			}
		}
	}()
	check(t, c.Swap())
	send(t, other, "new", face.LocalAddr())
	face.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 1452)
	for reads := 0; ; reads++ {
		n, _, err := face.ReadFrom(b)
		check(t, err)
		if string(b[:n]) == "new" {
			t.Logf("after %d others", reads)
			return
		}
	}
}
