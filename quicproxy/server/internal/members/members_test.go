package members

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
)

// link is a connection of a node.
type link struct {
	node   byte
	silent bool
}

func (l *link) Silent() bool { return l.silent }

func offer(node byte) Offer { return Offer{Node: certs.NodeID{node}, Service: "web"} }

// next gives a client to whoever is to get it, and returns the node; 0: nobody.
func next(s *Members[*link], tried ...*link) byte {
	m := s.Choose(tried...)
	if m == nil {
		return 0
	}
	s.Give(m)
	return m.Node[0]
}

// TestChoose: the one with the fewest clients, of equals the one that has waited longest; nobody who is away,
// silent, suspended, unhealthy or was tried.
func TestChoose(t *testing.T) {
	t.Parallel()
	var s Members[*link]
	a, b, c := &link{node: 1}, &link{node: 2}, &link{node: 3}
	for _, l := range []*link{a, b, c} {
		s.Attach(l, offer(l.node))
	}
	want := func(when string, nodes ...byte) {
		t.Helper()
		for i, node := range nodes {
			if got := next(&s); got != node {
				t.Errorf("%s: client %d goes to %d, want %d", when, i, got, node)
			}
		}
	}
	want("at first", 1, 2, 3, 1, 2, 3)
	s.Take(s.Of(b), false)
	want("one of b has left", 2, 1)
	b.silent = true
	want("b is silent", 3, 1, 3)
	b.silent = false
	s.SetServing(b, false)
	want("b is suspended", 1, 3)
	s.SetServing(b, true)
	sick := offer(2)
	sick.Unhealthy = true
	s.Attach(b, sick)
	want("b is unhealthy", 1, 3)
	s.Attach(b, offer(2))
	if got := next(&s, b); got != 1 {
		t.Errorf("b was tried: %d", got)
	}
	if got := next(&s, a, b, c); got != 0 {
		t.Errorf("all were tried: %d", got)
	}
	want("b is well again", 2, 2, 2, 2)
	if s.Leave(b) {
		t.Error("b was not the last")
	}
	want("b is away", 3, 1)
	newer := &link{node: 2}
	s.Attach(newer, offer(2))
	if n := s.Of(newer).clients; n != 6 {
		t.Errorf("b is back, and has %d clients", n)
	}
}

// TestRefusals: a node whose service refuses clients does not attract all of them because it has the fewest,
// but is tried again.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Members[*link]
		s.Attach(&link{node: 1}, offer(1))
		s.Attach(&link{node: 2}, offer(2))
		refused := 0
		for range 100 {
			if m := s.Choose(); m.Node[0] == 1 {
				s.Give(m)
				s.Take(m, true)
				refused++
			} else {
				s.Give(m)
			}
			time.Sleep(time.Second)
		}
		if refused != 10 {
			t.Errorf("%d of 100 clients were refused", refused)
		}
		s.Leave(s.Find(func(m *Member[*link]) bool { return m.Node[0] == 2 }).Target)
		if next(&s) != 1 {
			t.Error("alone it does not get clients")
		}
	})
}

// TestAttach: a connection replaces that of its node alone, and an older one can then take nothing away.
func TestAttach(t *testing.T) {
	t.Parallel()
	var s Members[*link]
	old, newer, other := &link{node: 1}, &link{node: 1}, &link{node: 2}
	if !s.Attach(old, offer(1)) || !s.Attach(other, offer(2)) || s.Attach(other, offer(2)) {
		t.Error("what changed was not told")
	}
	s.SetServing(old, false)
	if !s.Attach(old, offer(1)) {
		t.Error("a suspended connection that is attached again changes something")
	}
	s.Attach(newer, offer(1))
	s.SetServing(old, false)
	if s.Leave(old) || s.Of(old) != nil || !s.Of(newer).TakesClients() || s.Of(other) == nil {
		t.Error("an older connection took something away")
	}
	if s.Leave(other) || !s.Leave(newer) || s.Leave(newer) {
		t.Error("the last one leaves once")
	}
	if len(s.all) != 0 {
		t.Errorf("%d are left", len(s.all))
	}
	var none *link
	if s.Of(none) != nil || s.Leave(none) {
		t.Error("no connection is that of a node that is away")
	}
}

// TestPlainHTTP: one node cannot have the clients of others come without TLS.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	var s Members[*link]
	a, b := &link{node: 1}, &link{node: 2}
	plain := func(node byte) Offer { o := offer(node); o.PlainHTTP = true; return o }
	for i, step := range []struct {
		do   func()
		want bool
	}{
		{func() {}, false},
		{func() { s.Attach(a, offer(1)) }, false},
		{func() { s.Attach(b, plain(2)) }, false},
		{func() { s.Attach(a, plain(1)) }, true},
		{func() { s.Attach(b, offer(2)) }, false},
		{func() { s.Leave(b) }, true},
		{func() { s.Leave(a) }, true}, // as it was
	} {
		if step.do(); s.PlainHTTP() != step.want {
			t.Errorf("step %d: %v", i, s.PlainHTTP())
		}
	}
}

// TestCounts: whatever happens, each client is counted once, and the counts never differ by more than one
// when all nodes take clients and none leave.
func TestCounts(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var s Members[*link]
	var present []*Member[*link]
	for range 20000 {
		node := byte(1 + random.IntN(4))
		l := &link{node: node}
		switch random.IntN(6) {
		case 0:
			s.Attach(l, offer(node))
		case 1:
			if m := s.Find(func(m *Member[*link]) bool { return m.Node[0] == node }); m != nil && m.Connected() {
				s.Leave(m.Target)
			}
		case 2, 3:
			if m := s.Choose(); m != nil {
				s.Give(m)
				present = append(present, m)
			}
		default:
			if len(present) > 0 {
				i := random.IntN(len(present))
				s.Take(present[i], false)
				present[i] = present[len(present)-1]
				present = present[:len(present)-1]
			}
		}
		total, seen := 0, make(map[certs.NodeID]bool)
		for _, m := range s.Status() {
			total += m.Clients
			if seen[m.Node] || !m.Connected && m.Clients == 0 {
				t.Fatalf("%+v", s.Status())
			}
			seen[m.Node] = true
		}
		if total != len(present) {
			t.Fatalf("%d clients are counted, %d are there", total, len(present))
		}
	}
	s.LeaveAll()
	for _, m := range present {
		s.Take(m, false)
	}
	if len(s.all) != 0 {
		t.Errorf("%d are left", len(s.all))
	}
}

// TestCanary: who wants to be asked is, if a client would go there, and the shortest time counts; that of the last one
// also while all are away.
func TestCanary(t *testing.T) {
	t.Parallel()
	var s Members[*link]
	a, b, c := &link{node: 1}, &link{node: 2}, &link{node: 3}
	attach := func(l *link, every time.Duration) {
		o := offer(l.node)
		o.Canary = every
		s.Attach(l, o)
	}
	want := func(when string, node byte, every time.Duration) {
		t.Helper()
		m, got := s.Canary()
		if got != every || (m == nil) != (node == 0) || m != nil && m.Node[0] != node {
			t.Errorf("%s: %v %v, want %d %v", when, m, got, node, every)
		}
	}
	want("nobody", 0, 0)
	attach(a, 0)
	want("one that wants none", 0, 0)
	attach(b, time.Hour)
	attach(c, time.Minute)
	want("two that do", 2, time.Minute)
	s.Give(s.Of(b))
	want("a client of b", 3, time.Minute)
	c.silent = true
	want("c is silent", 2, time.Minute)
	s.Leave(c)
	want("c has left", 2, time.Hour)
	attach(b, 2*time.Hour)
	want("b has changed its mind", 2, 2*time.Hour)
	s.Leave(a)
	s.Leave(b)
	want("all are away", 0, 2*time.Hour)
	attach(a, 0)
	want("the one that wants none is back", 0, 0)
}
