package udp

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

// TestHook: datagrams that are not passed on vanish, in each way that quic-go reads, and what is to go before
// a datagram does.
func TestHook(t *testing.T) {
	t.Parallel()
	read := func(c net.PacketConn) (string, error) {
		b := make([]byte, 1452)
		n, _, err := c.ReadFrom(b)
		return string(b[:n]), err
	}
	message := func(c net.PacketConn) (string, error) {
		b := make([]byte, 1452)
		n, _, _, _, err := c.(systemSocket).ReadMsgUDP(b, nil)
		return string(b[:n]), err
	}
	type opener = func() (net.PacketConn, error)
	conn := func(open opener) opener {
		return func() (net.PacketConn, error) { return newConn(t, open).PacketConn(), nil }
	}
	for name, test := range map[string]struct {
		open opener
		read func(net.PacketConn) (string, error)
	}{
		"the system's":            {loopback, read},
		"the system's, messages":  {loopback, message},
		"any":                     {plainLoopback, read},
		"one that survives":       {conn(loopback), read},
		"any, one that survives":  {conn(plainLoopback), read},
		"one of messages that is": {conn(loopback), message},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pc, err := test.open()
			check(t, err)
			h := Hook(pc, Hooks{
				Received: func(b []byte, from net.Addr) bool { return b[0] != 'x' && from != nil },
				Sending:  func(b []byte, _ net.Addr) [][]byte { return [][]byte{[]byte("before"), bytes.ToUpper(b)} },
			})
			t.Cleanup(func() { h.Close() })
			peer := newSocketOfTheSystem(t)
			for _, text := range []string{"x1", "x2", "good", "x3", "fine"} {
				send(t, peer, text, h.LocalAddr())
			}
			h.SetReadDeadline(time.Now().Add(10 * time.Second))
			for _, want := range []string{"good", "fine"} {
				if got, err := test.read(h); err != nil || got != want {
					t.Fatalf("received %q, %v, want %q", got, err, want)
				}
			}
			send(t, h, "hello", peer.LocalAddr())
			for _, want := range []string{"before", "HELLO", "hello"} {
				receiveText(t, peer, want)
			}
		})
	}
}

// batches is a batchReader that has datagrams.
type batches struct{ left []string }

func (b *batches) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	if len(b.left) == 0 {
		return 0, net.ErrClosed
	}
	n := 0
	for n < len(ms) && n < len(b.left) {
		ms[n].N, ms[n].NN = copy(ms[n].Buffers[0], b.left[n]), copy(ms[n].OOB, b.left[n][:1])
		ms[n].Addr, ms[n].Flags = &net.UDPAddr{Port: n}, n
		n++
	}
	b.left = b.left[n:]
	return n, nil
}

// TestHookBatch: what stays of a batch stands in the first places, each in the buffer that belongs to its
// place.
func TestHookBatch(t *testing.T) {
	t.Parallel()
	h := &hookedSystem{
		hookedPlain: hookedPlain{hooked{hooks: Hooks{Received: func(b []byte, _ net.Addr) bool { return b[0] != 'x' }}}},
		batch:       &batches{[]string{"x", "one", "x", "two", "x", "x", "x", "x", "three"}},
	}
	ms := make([]ipv4.Message, 4)
	buffers := make([][1]byte, len(ms))
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 10)}, OOB: buffers[i][:]}
	}
	first := &ms[0].Buffers[0][0]
	var got []string
	for {
		n, err := h.ReadBatch(ms, 0)
		if err != nil {
			break
		}
		for _, m := range ms[:n] {
			got = append(got, fmt.Sprintf("%s %s %d %d", m.Buffers[0][:m.N], m.OOB[:m.NN], m.Addr.(*net.UDPAddr).Port, m.Flags))
		}
	}
	if want := []string{"one o 1 1", "two t 3 3", "three t 0 0"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if first != &ms[0].Buffers[0][0] {
		t.Error("buffers have changed places")
	}
}

// TestHookQUIC: a transport runs over a hooked Conn as over the Conn, with GSO where that has it.
func TestHookQUIC(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	hooks := Hooks{Received: func([]byte, net.Addr) bool { seen.Add(1); return true }}
	c, s := newConn(t, loopback), newConn(t, loopback)
	client, server := Hook(c.PacketConn(), hooks), Hook(s.PacketConn(), hooks)
	p := connect(t, client, server, server.LocalAddr())
	stream(t, p.client, p.server)
	if seen.Load() == 0 {
		t.Error("no datagram was seen")
	}
	plainC, plainS := newConn(t, loopback), newConn(t, loopback)
	plain := connect(t, plainC.PacketConn(), plainS.PacketConn(), plainS.PacketConn().LocalAddr())
	if got, want := p.client.ConnectionState().GSO, plain.client.ConnectionState().GSO; got != want {
		t.Errorf("GSO: %v, without hooks %v", got, want)
	}
}
