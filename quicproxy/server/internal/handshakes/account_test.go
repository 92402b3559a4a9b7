package handshakes

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// begin is when these tests begin.
var begin = time.Unix(1_700_000_000, 0)

// town simulates strangers, each with its own connection ids, against an account.
type town struct {
	t     *testing.T
	s     *Account
	now   time.Time
	next  int
	ended map[*Handshake]bool
}

func newTown(t *testing.T) *town {
	return &town{t: t, s: New(Memory), now: begin, ended: make(map[*Handshake]bool)}
}

// comes makes a handshake from an address up to the server's answer; nil: there was no place.
func (w *town) comes(from string) *Handshake {
	h := w.halfway(from, 2)
	if h != nil {
		h.Answered(func() { w.ended[h] = true })
	}
	return h
}

// halfway sends so many datagrams of the beginning of a handshake.
func (w *town) halfway(from string, datagrams int) *Handshake {
	w.next++
	address := netip.AddrPortFrom(netip.MustParseAddr(from), uint16(w.next))
	to, client := fmt.Appendf(nil, "first %d", w.next), fmt.Append(nil, w.next)
	var h *Handshake
	for i := range datagrams {
		if !w.s.Arrived(address, Datagram{To: to, Client: client, Begins: true, CryptoFrames: 4}, w.now) {
			break
		}
		if i == 0 {
			if h = w.s.Begin(address, w.now); h == nil {
				return nil
			}
		}
	}
	return h
}

// fill makes strangers come from addresses until so many in a row found no place.
func (w *town) fill(from func(i int) string) (found []*Handshake) {
	for i, failed := 0, 0; failed < 64 && i < 1<<16; i++ {
		if h := w.comes(from(i)); h != nil {
			found = append(found, h)
		} else {
			failed++
		}
	}
	return found
}

// TestNetworks: whoever has one network, of whatever size, leaves places for everybody else.
func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		from   func(i int) string
		others []string // who finds a place then
	}{
		{"one IPv4 address", func(int) string { return "192.0.2.1" }, []string{"192.0.2.2", "198.51.100.1", "2001:db8::1"}},
		{"an IPv4 /24", func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) }, []string{"192.0.3.1", "2001:db8::1"}},
		{"a /64", func(i int) string { return fmt.Sprintf("2001:db8:1:2::%x", i) }, []string{"2001:db8:1:3::1", "192.0.2.1"}},
		{"a /56", func(i int) string { return fmt.Sprintf("2001:db8:1:%x::%x", i%256, i) }, []string{"2001:db8:1:100::1", "192.0.2.1"}},
		{"a /48", func(i int) string { return fmt.Sprintf("2001:db8:1:%x::%x", i%65536, i) }, []string{"2001:db8:2::1", "192.0.2.1"}},
		{"eight /64 of a /56", func(i int) string { return fmt.Sprintf("2001:db8:1:%x::%x", i%8, i) }, []string{"2001:db8:1:100::1", "2001:db8:2::1", "192.0.2.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			if n := len(w.fill(test.from)); n < 50 {
				t.Errorf("only %d places for the network", n)
			}
			for _, other := range test.others {
				if w.comes(other) == nil {
					t.Errorf("no place for %s", other)
				}
			}
			if w.s.spent.total > Memory {
				t.Errorf("%d bytes are spent", w.s.spent.total)
			}
		})
	}
}

// TestKnownAddresses: places remain for addresses of recent nodes, whoever else comes.
func TestKnownAddresses(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.s.Know(netip.MustParseAddr("203.0.113.7"), w.now)
	w.s.Know(netip.MustParseAddr("2001:db8:5:5::1"), w.now)
	w.fill(func(i int) string { return fmt.Sprintf("%d.%d.%d.1", 1+i%200, i/200%256, i/51200) })
	w.fill(func(i int) string { return fmt.Sprintf("2001:db8:5:%x::1", 0x100+i%65000) })
	if w.comes("198.51.100.1") != nil {
		t.Error("there are places left, so that this shows nothing")
	}
	for _, node := range []string{"203.0.113.7", "2001:db8:5:5::99"} {
		if w.comes(node) == nil {
			t.Errorf("no place for %s, where a node was", node)
		}
	}
	w.now = w.now.Add(remembered)
	if w.s.known.has(netip.MustParseAddr("203.0.113.7"), w.now) {
		t.Error("an address is known for ever")
	}
}

// TestOldestMakesRoom: a connection that is old and has sent no Hello makes room for another one, but none
// does at once.
func TestOldestMakesRoom(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	village := func(int) string { return "192.0.2.1" }
	attackers := w.fill(village)
	if w.comes(village(0)) != nil {
		t.Fatal("more than its share")
	}
	w.now = w.now.Add(busyAfter + time.Millisecond)
	for i := range 100 {
		h := w.comes(village(0))
		if h == nil {
			t.Fatalf("the village is locked out by its attackers after %d of its nodes", i)
		}
		h.Done() // it was admitted
	}
	if !w.ended[attackers[0]] || w.ended[attackers[len(attackers)-1]] {
		t.Error("another one than the oldest had to go")
	}
	if total := w.s.spent.total; total > Memory {
		t.Errorf("%d bytes are spent", total)
	}
}

// TestVillage: 600 nodes behind one NAT come back at once, are admitted within 200 ms each, and try again
// every 300 ms.
func TestVillage(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	const all = 600
	in, waiting := 0, []*Handshake(nil)
	for range 20 {
		for range all - in - len(waiting) {
			if h := w.comes("192.0.2.1"); h != nil {
				waiting = append(waiting, h)
			}
		}
		w.now = w.now.Add(300 * time.Millisecond)
		for _, h := range waiting {
			h.Done()
		}
		in, waiting = in+len(waiting), nil
		if in == all {
			t.Logf("after %v", w.now.Sub(begin))
			return
		}
	}
	t.Errorf("%d of %d nodes are in after %v", in, all, w.now.Sub(begin))
}

// TestPlaceIsWhole: whoever has a place can finish the handshake, even if no other place is left.
func TestPlaceIsWhole(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	last := netip.MustParseAddrPort("192.0.2.1:7")
	first := Datagram{To: []byte("to"), Client: []byte("client"), Begins: true, CryptoFrames: 4}
	h := begun(t, w, last, first)
	w.fill(func(int) string { return "192.0.2.1" })
	first.CryptoFrames = 5
	if !w.s.Arrived(last, first, w.now) {
		t.Error("the rest of its ClientHello was refused")
	}
	h.Answered(func() {})
	if !w.s.Arrived(last, Datagram{To: first.To, Client: first.Client, Handshake: 600}, w.now) {
		t.Error("its certificate was refused")
	}
	h.Read()
	if !w.s.ArrivedShort(last, []byte("untold"), 200, w.now) {
		t.Error("its Hello was refused")
	}
}

// TestDatagramsBeforePlace: a client without a place, or with a Retry, has not used up any of a handshake's
// datagrams.
func TestDatagramsBeforePlace(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	from := netip.MustParseAddrPort("192.0.2.1:7")
	first := Datagram{To: []byte("to"), Client: []byte("client"), Begins: true, CryptoFrames: 4}
	for range 2 * firstDatagrams {
		w.s.Arrived(from, first, w.now)
	}
	w.now = w.now.Add(datagramEvery)
	begun(t, w, from, first)
	if !w.s.Arrived(from, first, w.now) {
		t.Error("the rest of its ClientHello was refused")
	}
}

// TestDatagrams: a handshake without progress gets few datagrams, and each is charged.
func TestDatagrams(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		after           time.Duration
		answered        bool
		more, datagrams int
	}{
		{0, false, 100, firstDatagrams - 1},
		{2 * time.Second, false, 100, firstDatagrams - 1 + 4},
		{0, true, 100, firstDatagrams - 1 + answeredDatagrams},
	} {
		w := newTown(t)
		from := netip.MustParseAddrPort("192.0.2.1:7")
		to, client, server := []byte("to"), []byte("client"), []byte("server")
		arrives := func(from netip.AddrPort, to []byte, begins bool) bool {
			return w.s.Arrived(from, Datagram{To: to, Client: client, Begins: begins, CryptoFrames: 1}, w.now)
		}
		if arrives(from, to, false) {
			t.Error("a connection begins in the middle")
		}
		if !arrives(from, to, true) {
			t.Fatal("the first datagram was refused")
		}
		h := w.s.Begin(from, w.now)
		w.s.Sent(from, client, server)
		if test.answered {
			h.Answered(func() {})
		}
		w.now = w.now.Add(test.after)
		passed := 0
		for i := range test.more {
			if arrives(from, [][]byte{to, server}[i%2], false) {
				passed++
			}
		}
		if passed != test.datagrams {
			t.Errorf("after %v, answered %v: %d datagrams passed, want %d", test.after, test.answered, passed, test.datagrams)
		}
		if want := connectionCost + int64(passed)*(datagramCost+cryptoFrameCost); w.s.spent.total < want {
			t.Errorf("%d bytes are spent, want %d", w.s.spent.total, want)
		}
		for _, id := range [][]byte{to, server} {
			if arrives(netip.MustParseAddrPort("192.0.2.1:8"), id, true) {
				t.Error("a handshake is fed from another address")
			}
		}
		h.Done()
		h.Done() // the second does not count
		if w.s.spent.total != 0 || len(w.s.spent.of)+len(w.s.flows)+len(w.s.ids)+len(w.s.order) != 0 || w.s.flowing.Load() != 0 {
			t.Errorf("something is left: %+v", w.s)
		}
	}
}

// TestOneStranger: whatever somebody sends until they are admitted, the account says what QUIC may keep of
// it, and there is a bound. What a node sends always has room.
func TestOneStranger(t *testing.T) {
	t.Parallel()
	const most = connectionCost + maxKept
	from := netip.MustParseAddrPort("192.0.2.1:7")
	for _, test := range []struct {
		name   string
		answer bool
		send   Datagram
		short  int // bytes of datagrams with a short header, to an id that the server told only the stranger
		passed int // bytes that pass at least
	}{
		{"crumbs of a ClientHello", false, Datagram{CryptoFrames: 16}, 0, 3},
		{"crumbs of what follows it", true, Datagram{Handshake: 600}, 0, 3 * 600},
		{"a padded datagram", true, Datagram{Handshake: 1150}, 0, 1150},
		{"a stream in crumbs", true, Datagram{}, 400, 800},
		{"small packets", true, Datagram{}, 32, 512},
		{"a large packet", true, Datagram{}, 1150, 1150},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			first := Datagram{To: []byte("to"), Client: []byte("client"), Begins: true, CryptoFrames: 4}
			h := begun(t, w, from, first)
			if test.answer {
				h.Answered(func() {})
			}
			passed, send := 0, test.send
			send.To, send.Client = first.To, first.Client
			for range 1000 {
				ok := test.short > 0 && w.s.ArrivedShort(from, []byte("untold"), test.short, w.now) ||
					test.short == 0 && w.s.Arrived(from, send, w.now)
				if ok {
					passed += max(test.short, send.Handshake, 1)
				}
				if w.s.spent.total > most {
					t.Fatalf("the account has %d bytes, want %d at most", w.s.spent.total, most)
				}
			}
			if passed < test.passed {
				t.Errorf("%d passed, want %d", passed, test.passed)
			}
			h.Read()
			if w.s.spent.total != handshakeCost || h.Overdrawn() {
				t.Errorf("what was read costs still: %d bytes", w.s.spent.total)
			}
			h.Done()
			if !w.s.ArrivedShort(from, []byte("untold"), 1200, w.now) || w.s.spent.total != 0 {
				t.Error("a node pays for what it sends")
			}
		})
	}
}

// begun is a handshake of which the first datagram has come.
func begun(t *testing.T, w *town, from netip.AddrPort, first Datagram) *Handshake {
	t.Helper()
	if !w.s.Arrived(from, first, w.now) {
		t.Fatal("the first datagram was refused")
	}
	h := w.s.Begin(from, w.now)
	if h == nil {
		t.Fatal("there is no place for a handshake")
	}
	return h
}

// TestForgedAddresses: datagrams that begin no connection are not charged, and a bounded number is
// remembered.
func TestForgedAddresses(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for i := range 3 * maxFlows {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		w.s.Arrived(from, Datagram{To: fmt.Append(nil, "to", i), Client: []byte("c"), Begins: true}, w.now)
	}
	if len(w.s.order) > maxFlows || len(w.s.flows) > maxFlows || len(w.s.ids) > maxFlows || w.s.spent.total != 0 {
		t.Errorf("%d flows, %d ids, %d bytes", len(w.s.order), len(w.s.ids), w.s.spent.total)
	}
	if w.s.Crowded() || w.comes("192.0.2.1") == nil {
		t.Error("forged addresses take places")
	}
}

// TestAddressRate: one address cannot make handshakes endlessly, even if each is short.
func TestAddressRate(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	allowed := 0
	for range 2 * addressBurst {
		if h := w.comes("2001:db8::1"); h != nil {
			h.Done()
			allowed++
		}
	}
	if allowed != addressBurst {
		t.Errorf("%d handshakes, want %d", allowed, addressBurst)
	}
	if w.comes("2001:db8::2") != nil {
		t.Error("its neighbour in the same /64 has a burst of its own")
	}
	if w.comes("2001:db8:0:1::1") == nil {
		t.Error("another network has no burst")
	}
}

// TestHandshakeOfAnotherFlow: QUIC reports only an address, not which of its flows became a connection. A
// client that begins with a packet that leads to none must not get the next one for free.
func TestHandshakeOfAnotherFlow(t *testing.T) {
	w := newTown(t)
	address := netip.MustParseAddrPort("192.0.2.1:1")
	short, long := Datagram{To: []byte("short"), Client: []byte("a"), Begins: true}, Datagram{To: []byte("long enough"), Client: []byte("b"), Begins: true}
	if !w.s.Arrived(address, short, w.now) {
		t.Fatal("the first packet of an address was refused")
	}
	if !w.s.Arrived(address, long, w.now) {
		t.Fatal("the first packet of another flow was refused")
	}
	h := w.s.Begin(address, w.now)
	if h == nil {
		t.Fatal("there is no place for a handshake")
	}
	defer h.Done()
	before := h.flow.kept
	if !w.s.Arrived(address, long, w.now) {
		t.Fatal("the second packet of a handshake was refused")
	}
	if cost := h.flow.kept - before; cost != datagramCost {
		t.Errorf("a packet of a handshake cost %d, want %d", cost, datagramCost)
	}
}
