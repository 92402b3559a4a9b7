package flows

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"apquic/framing"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/flowlimit"
	"apquic/quicproxy/internal/limit"
)

const (
	// defaultIdle is how long a flow stays over which nothing passes if the server tells nothing, and maxIdle
	// the most that it can tell. The node waits a quarter longer, and by leastLater at least.
	defaultIdle, maxIdle, leastLater = time.Minute, time.Hour, 10 * time.Second
	// unknownRate is how often a second the server is told that it names a flow that is not here.
	unknownRate = 10
	// addressShare: one client address can have one in addressShare of the flows with a service. One more socket
	// in endingShare may belong to flows that have made room, until it is closed.
	addressShare, endingShare = 4, 8
)

// Config says what Table consists of; every field is required.
type Config struct {
	// Dial connects to the upstream of a service for a client at an address, which reached the service at
	// another one; each datagram to it begins with prefix. Has reports whether there is an upstream over UDP.
	Dial     func(ctx context.Context, service, client, public string) (socket net.Conn, prefix []byte, err error)
	Has      func(service string) bool
	Most     int // flows
	Counters *flow.Counters
}

// Table has the flows of a node.
type Table struct {
	config   Config
	unknowns *rate.Limiter
	places   *flowlimit.Places
	sockets  limit.Count // with the flows that wait for one
	large    limit.Count // flows that hold a large datagram until there is a socket
	running  sync.WaitGroup

	mu       sync.Mutex
	via      *flow.Sender // of the newest connection; nil: there is none
	process  uint64       // of the server, that it leads to
	byNumber map[uint64]*upstream
	byClient map[client]*upstream
	closed   bool
}

// client is somebody who uses a service. A flow belongs to the same one whatever its number.
type client struct{ service, address string }

// New returns a Table without flows.
func New(config Config) *Table {
	return &Table{
		config: config, unknowns: rate.NewLimiter(unknownRate, unknownRate),
		places: flowlimit.New(flowlimit.Limits{
			All: config.Most, Node: config.Most, Service: config.Most, Address: config.Most / addressShare,
		}),
		byNumber: make(map[uint64]*upstream), byClient: make(map[client]*upstream),
	}
}

// Use makes flows send over a connection to a process of the server. The numbers of flows are those of its
// process: another one may have given them to somebody else.
func (t *Table) Use(via *flow.Sender, process uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.via = via
	if t.process == process {
		return
	}
	t.process = process
	for _, u := range t.byNumber {
		u.number = 0
	}
	clear(t.byNumber)
}

// Leave notes that a connection has ended.
func (t *Table) Leave(via *flow.Sender) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.via == via {
		t.via = nil
	}
}

// Len is how many flows there are.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byClient)
}

// Of is how many flows a service has.
func (t *Table) Of(service string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for who := range t.byClient {
		if who.service == service {
			n++
		}
	}
	return n
}

// Most is how many flows there can be.
func (t *Table) Most() int { return t.config.Most }

// Moved says that new flows of a service go to another upstream. Those that there are stay with the one that they
// have for as long as that answers.
func (t *Table) Moved(service string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for who, u := range t.byClient {
		if who.service == service {
			u.moved.CompareAndSwap(0, time.Now().UnixNano())
		}
	}
}

// Close ends all flows, and returns when nothing of them is left.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed = true
	all := slices.Collect(maps.Values(t.byClient))
	t.mu.Unlock()
	for _, u := range all {
		u.end()
	}
	t.running.Wait()
}

// Handle takes a datagram that came over a connection to a process of the server.
func (t *Table) Handle(via *flow.Sender, process uint64, d framing.Datagram) {
	var u *upstream
	switch d.Kind {
	case framing.DatagramFirst:
		u = t.begin(via, process, d)
	case framing.DatagramPayload:
		if u = t.find(process, d.Flow); u == nil {
			t.config.Counters.NoFlow.Add(1)
			if t.unknowns.Allow() {
				via.Send("", framing.Datagram{Flow: d.Flow, Kind: framing.DatagramUnknown})
			}
		}
	case framing.DatagramUnknown:
		if u := t.find(process, d.Flow); u != nil {
			u.end()
		}
		return
	default:
		t.config.Counters.Malformed.Add(1)
	}
	if u != nil {
		u.deliver(d.Payload)
	}
}

func (t *Table) find(process, number uint64) *upstream {
	t.mu.Lock()
	defer t.mu.Unlock()
	if process != t.process {
		return nil
	}
	return t.byNumber[number]
}

// begin returns the flow that a datagram with a header is of, and tells the server that it is here; nil: it
// cannot be.
func (t *Table) begin(via *flow.Sender, process uint64, d framing.Datagram) *upstream {
	who := client{d.Header.Service, d.Header.ClientAddress}
	t.mu.Lock()
	u := t.byClient[who]
	t.mu.Unlock()
	if u == nil {
		if u = t.open(who, d.Header.PublicAddress); u == nil {
			return nil
		}
	}
	t.mu.Lock()
	if process != t.process || u.ended {
		t.mu.Unlock()
		t.config.Counters.NoFlow.Add(1)
		return nil
	}
	if u.number != d.Flow {
		delete(t.byNumber, u.number)
		if other := t.byNumber[d.Flow]; other != nil {
			other.number = 0
		}
		u.number, u.told = d.Flow, false
		t.byNumber[d.Flow] = u
	}
	told := u.told
	t.mu.Unlock()
	u.setIdle(d.Header.IdleSeconds)
	if !told {
		via.Send(who.service, framing.Datagram{Flow: d.Flow, Kind: framing.DatagramKnown})
	}
	return u
}

// open makes a flow, for which another one may have to make room; nil: there is no such service, or too many
// flows have not ended yet that had to.
func (t *Table) open(who client, public string) *upstream {
	if !t.config.Has(who.service) {
		t.config.Counters.NoFlow.Add(1)
		return nil
	}
	if !t.sockets.Take(t.config.Most + t.config.Most/endingShare + 1) {
		t.config.Counters.NoPlace.Add(1)
		return nil
	}
	from, _ := netip.ParseAddrPort(who.address)
	u := newUpstream(t, who, public)
	place := t.places.Enter(clients.Service{Name: who.service}, from.Addr(), u.end)
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.byClient[who]; other != nil || t.closed || u.ended {
		place.Leave()
		t.sockets.Give()
		return other
	}
	u.place, t.byClient[who] = place, u
	t.running.Go(u.run)
	return u
}

// remove forgets a flow, and reports whether it was not yet.
func (t *Table) remove(u *upstream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := u.ended
	u.ended = true
	if t.byClient[u.client] == u {
		delete(t.byClient, u.client)
	}
	if u.number != 0 && t.byNumber[u.number] == u {
		delete(t.byNumber, u.number)
	}
	u.place.Leave()
	return !was
}

// route returns how to send for a flow; nil: not at the moment.
func (t *Table) route(u *upstream) (via *flow.Sender, number uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u.number == 0 || t.via == nil {
		return nil, 0
	}
	u.told = true
	return t.via, u.number
}
