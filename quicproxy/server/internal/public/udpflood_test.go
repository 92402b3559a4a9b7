package public

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/flowlimit"
	"apquic/quicproxy/server/internal/members"
)

// flooded are services over UDP, each of a node of its own, at the ports from 20000.
type flooded struct {
	*Listeners
	t        *testing.T
	counters *flow.Counters
	sockets  []*forgedSocket
}

func flood(t *testing.T, services, all, perService, perAddress int) *flooded {
	f := &flooded{t: t, counters: new(flow.Counters)}
	for range services {
		f.sockets = append(f.sockets, newForgedSocket())
	}
	limits := flowlimit.Limits{All: all, Node: 2 * perService, Service: perService, Address: perAddress}
	f.Listeners = overUDP(func(port uint16) (net.PacketConn, error) { return f.sockets[port-20000], nil }, flowlimit.New(limits), f.counters)
	for i := range services {
		l := lease.Lease{Key: lease.Key{Node: certs.NodeID{byte(1 + i)}, Service: fmt.Sprint("s", i)}, Port: uint16(20000 + i), Transport: lease.UDP}
		if err := f.Bind(l); err != nil {
			t.Fatal(err)
		}
		f.At(l.Endpoint()).Attach(&awayTarget{i}, members.Offer{Node: l.Node, Service: l.Service})
	}
	return f
}

// awayTarget is a connection that takes no datagrams.
type awayTarget struct{ service int }

func (*awayTarget) Silent() bool                       { return false }
func (*awayTarget) Relay(*Listener, *Client) error     { return ErrConnectionEnded }
func (*awayTarget) FlowSender() (*flow.Sender, uint64) { return nil, 0 }
func (*awayTarget) Ask(context.Context, string) error  { return ErrConnectionEnded }

// send sends a datagram to a service, which may answer, and returns the number of the flow; 0: there is none.
func (f *flooded) send(service int, from netip.AddrPort, answer bool) (number uint64) {
	f.sockets[service].come <- from
	synctest.Wait()
	u := f.At(lease.Endpoint{Port: uint16(20000 + service)}).udp
	u.mu.Lock()
	if flow := u.flows[from]; flow != nil {
		number = flow.number
	}
	u.mu.Unlock()
	if answer && number > 0 {
		f.answer(service, number)
	}
	return number
}

func (f *flooded) answer(service int, number uint64) (known bool) {
	return f.Receive(certs.NodeID{byte(1 + service)}, 7, framing.Datagram{Flow: number, Payload: []byte("y")})
}

func (f *flooded) close() {
	f.Stop()
	f.Close()
	f.Wait()
	if n := f.flows.Len(); n > 0 {
		f.t.Errorf("%d flows are left", n)
	}
}

// forged is the nth of many addresses, most of them in networks of their own.
func forged(n int) netip.AddrPort {
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], 11<<24|uint32(n*257))
	return netip.AddrPortFrom(netip.AddrFrom4(address), 53)
}

// TestResolver: a service that answers everything takes thousands of queries a second from one resolver, each
// from a port of its own, and answers all of them; nobody loses a flow that is in use.
func TestResolver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := flood(t, 1, 1<<16, 1<<12, 1<<10)
		defer f.close()
		const rate, seconds, waiting = 3000, 4, 150 // the answers come after 50 ms
		friend := netip.MustParseAddrPort("192.0.2.1:7")
		number := f.send(0, friend, true)
		var asked []uint64
		for i := range rate * seconds {
			if i%rate == 0 && f.send(0, friend, true) != number {
				t.Fatalf("after %d s the flow of another client is gone", i/rate)
			}
			from := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), uint16(1024+i*7919%60000))
			asked = append(asked, f.send(0, from, false))
			if i >= waiting && !f.answer(0, asked[i-waiting]) {
				t.Fatalf("query %d got no answer", i-waiting)
			}
			time.Sleep(time.Second / rate)
		}
		if n := f.counters.NoPlace.Load(); n > 0 || f.flows.Len() > 1<<10+1 {
			t.Errorf("%d were refused, %d flows", n, f.flows.Len())
		}
	})
}

// TestServiceThatAnswersAll: forged clients that get answers take no flow that is in use, and keep nobody out.
func TestServiceThatAnswersAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := flood(t, 1, 4000, 1000, 100)
		defer f.close()
		friend := netip.MustParseAddrPort("192.0.2.1:7")
		number := f.send(0, friend, true)
		for i := range 6000 { // 500 a second
			f.send(0, forged(i), true)
			if i%250 == 0 && f.send(0, friend, true) != number {
				t.Fatalf("after %d the flow in use is gone", i)
			}
			if i%500 == 0 && f.send(0, netip.AddrPortFrom(friend.Addr(), uint16(100+i/500)), true) == 0 {
				t.Fatalf("after %d a real client was refused", i)
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}

// TestFloodOfOtherServices: when forged clients have taken all places at two services, a third still gets flows,
// at whatever rate they come, and keeps them until it has answered.
func TestFloodOfOtherServices(t *testing.T) {
	t.Parallel()
	for _, answer := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := flood(t, 3, 100, 100, 100)
			defer f.close()
			real := 0
			for i := range 12000 { // 50 of each real one
				f.send(i%2, forged(i), answer)
				if i%100 == 50 {
					number := f.send(2, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(i)), false)
					for k := range 100 {
						f.send(k%2, forged(12000+i*100+k), answer)
					}
					if number > 0 && f.answer(2, number) {
						real++
					}
				}
			}
			if real != 120 {
				t.Errorf("answer %v: %d of 120 real clients were answered", answer, real)
			}
		})
	}
}

// TestAnswerAhead: a node that answers a flow that does not exist yet disturbs nothing.
func TestAnswerAhead(t *testing.T) {
	t.Parallel()
	f := flood(t, 1, 100, 50, 50)
	var answering sync.WaitGroup
	var sent atomic.Uint64 // datagrams, each of which begins a flow
	over := make(chan struct{})
	answering.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				next := sent.Load() + 1
				for range 50 {
					f.answer(0, next)
				}
			}
		}
	})
	for i := range 3000 {
		sent.Store(uint64(i))
		f.sockets[0].come <- forged(i)
	}
	close(over)
	answering.Wait()
	f.close()
}
