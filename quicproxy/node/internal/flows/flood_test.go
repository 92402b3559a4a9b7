package flows

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
)

// from is the nth of many clients, most of them in networks of their own.
func from(n int) string {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), 7).String()
}

func firstOf(service string, number uint64, from string, payload []byte) framing.Datagram {
	d := first(number, from, "")
	d.Header.Service, d.Payload = service, payload
	return d
}

// TestForgedClientsOfOneService: forged clients of a service, whether it answers them or not, keep those of
// another one from nothing.
func TestForgedClientsOfOneService(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(100)
			_, via := connect(t)
			b.Use(via, 1)
			number := uint64(0)
			open := func(service, from string) bool {
				number++
				before := len(b.dialled)
				b.Handle(via, 1, firstOf(service, number, from, []byte("x")))
				synctest.Wait()
				return len(b.dialled) == before+1
			}
			real := 0
			for i := range 120 * 50 { // 50 a second
				if open("dns", from(i)) && answers {
					b.dialled[len(b.dialled)-1].answers <- "y"
				}
				if i%50 == 49 && open("game", from(1<<15+i)) {
					real++
					b.dialled[len(b.dialled)-1].answers <- "y"
				}
				time.Sleep(time.Second / 50)
			}
			synctest.Wait()
			if n := b.Of("game"); real != 120 || n < 40 {
				t.Errorf("answers %v: %d of 120 real clients got a flow, %d still have it", answers, real, n)
			}
			time.Sleep(40 * time.Second)
			if n := b.Of("dns"); !answers && n > 0 {
				t.Errorf("%d flows that were not answered are left after 40 s", n)
			}
			b.Close()
			if n := b.sockets.Len(); n > 0 {
				t.Errorf("%d sockets are left", n)
			}
		})
	}
}

// TestEarly: what a flow holds while its upstream is looked up is bounded by bytes, however large datagrams are.
func TestEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(1000)
		slow, dial := make(chan struct{}), b.Table.config.Dial
		b.Table.config.Dial = func(ctx context.Context, service, client, public string) (net.Conn, []byte, error) {
			<-slow
			return dial(ctx, service, client, public)
		}
		_, via := connect(t)
		b.Use(via, 1)
		for i := range 100 {
			for k, size := range []int{1 << 15, 60000, 60000, 1200, 1200, 1200, 1200, 1200, 1200, 1200, 1200, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1} {
				b.Handle(via, 1, firstOf("game", uint64(i+1), from(i), bytes.Repeat([]byte{byte(k)}, size)))
			}
		}
		for i := range 20 {
			b.Handle(via, 1, firstOf("game", uint64(1000+i), from(1000+i), make([]byte, 60000)))
		}
		held, large := 0, 0
		for _, u := range b.byClient {
			of := 0
			for _, payload := range u.early {
				of += len(payload)
			}
			if of > maxEarlyBytes {
				large++
			}
			held += of
		}
		if held > 100*maxEarlyBytes+maxLarge<<16 || large == 0 || large > maxLarge {
			t.Errorf("%d flows hold %d bytes, %d of them a large datagram", b.Len(), held, large)
		}
		close(slow)
		synctest.Wait()
		if n := b.large.Len(); n > 0 {
			t.Errorf("%d large datagrams are still counted", n)
		}
		if got := b.dialled[0].got; len(got) != maxEarly && len(got) != 1 {
			t.Errorf("the service got %d datagrams", len(got))
		}
		b.Close()
	})
}

// TestServerOpensManyFlows: a server that begins flows faster than they end costs no more sockets for that.
func TestServerOpensManyFlows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(100)
		stuck, dial := make(chan struct{}), b.Table.config.Dial
		b.Table.config.Dial = func(ctx context.Context, service, client, public string) (net.Conn, []byte, error) {
			<-stuck // and does not notice that the flow has ended
			return dial(ctx, service, client, public)
		}
		_, via := connect(t)
		b.Use(via, 1)
		for i := range 1000 {
			b.Handle(via, 1, firstOf("game", uint64(i+1), fmt.Sprintf("192.0.2.%d:%d", i%200, i), []byte("x")))
		}
		if n := b.sockets.Len(); n > 120 || b.Len() > 100 || b.counters.NoPlace.Load() == 0 {
			t.Errorf("%d sockets, %d flows, dropped %v", n, b.Len(), b.counters.Dropped())
		}
		close(stuck)
		b.Close()
	})
}
