package bytestream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/quicstream"
)

// period is prime, so that every byte of the pattern shows that is lost, doubled or misplaced.
const period = 65521

// pattern has two periods, so that a buffer of it is at hand at every offset.
var pattern = func() []byte {
	p := make([]byte, period, period+buffer.Size)
	rand.NewChaCha8([32]byte{}).Read(p)
	return append(append(p, p...), p...)[:period+buffer.Size]
}()

// patternAt returns n bytes of the pattern, which are not to be changed.
func patternAt(offset, n int) []byte {
	if n <= buffer.Size {
		return pattern[offset%period:][:n]
	}
	p := make([]byte, 0, n)
	for len(p) < n {
		p = append(p, patternAt(offset+len(p), min(n-len(p), buffer.Size))...)
	}
	return p
}

// ends are two processes and what is between them.
type ends struct {
	t            *testing.T
	random       *rand.Rand // the driver's
	server, node *association.Association
	window       int
	latency      time.Duration
	interrupts   bool         // of reads and writes that have just ended
	much         bool         // is to be sent, and loss may limit the connections
	kept         atomic.Int64 // bytes, at both
	records      atomic.Uint64

	serve  func(Stream, *framing.StreamHeader)     // at the node
	answer atomic.Pointer[func(quicstream.Stream)] // instead of the node; nil: it does itself
	began  sync.Map                                // of client addresses: how often the service was begun

	mu      sync.Mutex
	links   []*linked
	serving sync.WaitGroup
}

// linked is a connection with its two carriers.
type linked struct {
	server, node *association.Carrier
	s, n         *pairConn
	done         sync.WaitGroup
}

func newEnds(t *testing.T, seed uint64) *ends {
	return &ends{
		t: t, random: rand.New(rand.NewPCG(seed, 2)), window: 64 << 10, latency: 10 * time.Millisecond,
		server: association.NewServer(1, 0, 5*time.Minute), node: association.New(2, 5*time.Minute),
	}
}

func (e *ends) count(n int) { e.kept.Add(int64(n)) }

// keep ignores what counted before, as nothing does that is written here.
func (e *ends) keep(n, _ int) { e.count(n) }

// connect opens a connection; lane: a further one.
func (e *ends) connect(lane bool) *linked {
	seed := e.random.Uint64()
	latencies := rand.New(rand.NewPCG(seed, 3))
	var mu sync.Mutex
	latency := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return e.latency + time.Duration(latencies.Int64N(int64(e.latency)+1))
	}
	l := new(linked)
	l.s, l.n = newPair(e.t, e.window, latency)
	if e.interrupts {
		interrupts := func() bool {
			mu.Lock()
			defer mu.Unlock()
			return latencies.IntN(8) == 0
		}
		l.s.interrupts, l.n.interrupts = interrupts, interrupts
	}
	l.server, l.node = &association.Carrier{Conn: l.s, Lane: lane}, &association.Carrier{Conn: l.n, Lane: lane}
	l.s.handle = func(p *framing.Progress) { e.server.Handle(l.server, p) }
	l.n.handle = func(p *framing.Progress) { e.node.Handle(l.node, p) }
	e.node.Join(l.node)
	e.server.Join(l.server)
	l.done.Go(func() {
		for {
			select {
			case stream := <-l.n.accepted:
				e.serving.Go(func() { e.accept(l.node, stream) })
			case stripe := <-l.n.stripes:
				if l.n.refuses.Load() {
					stripe.CancelRead(quic.StreamErrorCode(framing.ErrorInternal))
					continue
				}
				e.serving.Go(func() { ServeStripe(e.node, l.node, stripe) })
			case stripe := <-l.s.stripes:
				e.serving.Go(func() { ServeStripe(e.server, l.server, stripe) })
			case <-l.n.ctx.Done():
				return
			}
		}
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links = append(e.links, l)
	return l
}

// open are the connections that have not ended.
func (e *ends) open() []*linked {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.links[:len(e.links):len(e.links)]
}

func (e *ends) accept(c *association.Carrier, stream quicstream.Stream) {
	header, err := framing.ReadStreamHeader(stream)
	if err != nil {
		quicstream.Reset(stream, framing.ErrorBadHeader)
		return
	}
	if answer := e.answer.Load(); answer != nil {
		(*answer)(stream)
		return
	}
	s, err := Accept(e.node, c, stream, header)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		quicstream.Reset(stream, refused.Code)
		return
	}
	if s != nil {
		s.Count(e.keep, e.count)
		times, _ := e.began.LoadOrStore(header.ClientAddress, new(atomic.Int32))
		times.(*atomic.Int32).Add(1)
		e.serve(s, header)
	}
}

// disconnect ends a connection; the node notices so much later than the server, or earlier.
func (e *ends) disconnect(l *linked, later time.Duration) {
	e.mu.Lock()
	for i, other := range e.links {
		if other == l {
			e.links = slices.Delete(slices.Clone(e.links), i, i+1)
			break
		}
	}
	e.mu.Unlock()
	server := func() { l.s.kill(); e.server.Leave(l.server); l.server.Working.Wait() }
	node := func() { l.n.kill(); e.node.Leave(l.node); l.node.Working.Wait() }
	if later < 0 {
		node()
		time.Sleep(-later)
		server()
	} else {
		server()
		time.Sleep(later)
		node()
	}
	l.done.Wait()
	e.records.Add(l.server.Records.Load())
	l.s.pumps.Wait()
}

// begin opens a relay as the server does for a client.
func (e *ends) begin(l *linked, client string, first []byte) (Stream, error) {
	stream, err := l.s.OpenStream(l.s.ctx)
	if err != nil {
		return nil, err
	}
	s, err := Begin(e.server, l.server, stream, &framing.StreamHeader{Service: "web", ClientAddress: client}, first)
	if err != nil {
		quicstream.Reset(stream, framing.ErrorRelayShutdown)
		return nil, err
	}
	s.Count(e.keep, e.count)
	return s, nil
}

// finish ends all connections and wants nothing left.
func (e *ends) finish() error {
	for _, l := range e.open() {
		e.disconnect(l, 0)
	}
	e.serving.Wait()
	for name, a := range map[string]*association.Association{"server": e.server, "node": e.node} {
		if relays, carriers := a.Size(); relays+carriers > 0 {
			return fmt.Errorf("%d relays and %d connections are left at the %s", relays, carriers, name)
		}
	}
	if n := e.kept.Load(); n != 0 {
		return fmt.Errorf("%d bytes are kept", n)
	}
	return nil
}

// talk is what a program does with one end of a relay.
type talk struct {
	*rand.Rand
	least  int  // bits of the sizes of reads and writes
	total  int  // bytes to send
	reset  bool // instead of the end
	slow   bool
	result error
	got    int
}

// maxReads is how many reads a side takes for all that the other one sends: bytes that are read one by one show nothing more.
const maxReads = 2000

// run writes and reads until both directions have ended.
func (k *talk) run(s Stream, sent int) {
	var writing sync.WaitGroup
	chunks := rand.New(rand.NewPCG(k.Uint64(), 1))
	writing.Go(func() {
		for at := sent; at < k.total; {
			n := min(k.total-at, 1+chunks.IntN(1<<max(chunks.IntN(17), k.least)))
			b := buffer.New(buffer.Size)
			n = min(n, buffer.Size)
			copy(b[:], patternAt(at, n))
			if s.WriteBuffer(b[:n]) != nil {
				return
			}
			at += n
			time.Sleep(time.Duration(chunks.IntN(1<<chunks.IntN(28))) / 4)
		}
		if k.reset {
			s.Reset(framing.ErrorRelayReset)
		} else {
			s.CloseWrite()
		}
	})
	b := make([]byte, 1<<max(k.IntN(17), k.least))
	for k.result == nil {
		if k.IntN(2) == 0 {
			s.Wait()
		}
		n, err := s.Read(b)
		if !bytes.Equal(b[:n], patternAt(k.got, n)) {
			k.result = fmt.Errorf("wrong bytes from %d on", k.got)
			s.Discard(framing.ErrorInternal)
			break
		}
		k.got += n
		k.result = err
		if k.slow {
			time.Sleep(time.Duration(k.IntN(50)) * time.Millisecond)
		}
	}
	writing.Wait()
	s.Finish()
}

// disturb does something to the connections.
func (e *ends) disturb() {
	links := e.open()
	var l *linked
	if len(links) > 0 {
		l = links[e.random.IntN(len(links))]
	}
	between := time.Duration(e.random.IntN(1<<e.random.IntN(33)) - 1<<e.random.IntN(31))
	switch n := e.random.IntN(10); {
	case l == nil:
		e.connect(false)
	case e.much && e.random.IntN(2) == 0:
		for _, l := range links {
			lossy := e.random.IntN(4) > 0
			e.server.SetLossy(l.server, lossy)
			e.node.SetLossy(l.node, lossy)
		}
	case n < 3 && len(links) < 5:
		e.connect(n > 0)
	case n < 6:
		e.serving.Go(func() { e.disconnect(l, between) })
		time.Sleep(time.Microsecond) // it is no longer among links
	case n < 7:
		release := l.s.hold()
		e.serving.Go(func() { time.Sleep(between.Abs()); release() })
	case n < 8:
		release := l.n.hold()
		e.serving.Go(func() { time.Sleep(between.Abs()); release() })
	default:
		a, c := e.server, l.server
		if e.random.IntN(2) == 0 {
			a, c = e.node, l.node
		}
		a.Suspect(c, e.random.IntN(3) > 0)
	}
}

// history plays relays while their connections come and go.
func (e *ends) history() (failed error) {
	e.interrupts = true
	e.window = 1 << (10 + e.random.IntN(7))
	if e.much {
		e.window = max(e.window, 4<<10)
	}
	e.latency = time.Duration(1+e.random.IntN(100)) * time.Millisecond
	relays := 1 + e.random.IntN(6)
	clients, services := make([]*talk, relays), make([]*talk, relays)
	for i := range relays {
		total := func() int {
			if e.much {
				return e.random.IntN(1 << (19 + e.random.IntN(4)))
			}
			return e.random.IntN(1 << e.random.IntN(20))
		}
		side := func() *talk {
			least := 0
			if e.much {
				least = 12
			}
			return &talk{Rand: rand.New(rand.NewPCG(e.random.Uint64(), 7)), least: least, total: total(), slow: e.random.IntN(4) == 0, reset: e.random.IntN(12) == 0}
		}
		c, s := side(), side()
		c.least, s.least = max(c.least, bits.Len(uint(s.total/maxReads))), max(s.least, bits.Len(uint(c.total/maxReads)))
		clients[i], services[i] = c, s
	}
	e.serve = func(s Stream, h *framing.StreamHeader) {
		var i int
		fmt.Sscanf(h.ClientAddress, "10.0.0.1:%d", &i)
		k := services[i-1]
		time.Sleep(time.Duration(k.IntN(1 << k.IntN(30)))) // the upstream is dialed
		k.run(s, 0)
	}
	e.connect(false)
	var talking sync.WaitGroup
	for i := range relays {
		talking.Go(func() {
			k := clients[i]
			time.Sleep(time.Duration(k.IntN(1 << k.IntN(32))))
			for {
				links := e.open()
				first := patternAt(0, min(k.total, 1000))
				if len(links) > 0 {
					if s, err := e.begin(links[k.IntN(len(links))], fmt.Sprintf("10.0.0.1:%d", i+1), first); err == nil {
						k.run(s, len(first))
						return
					}
				}
				time.Sleep(time.Second)
			}
		})
	}
	for range e.random.IntN(30) {
		time.Sleep(time.Duration(e.random.IntN(1 << e.random.IntN(32))))
		e.disturb()
	}
	time.Sleep(10 * time.Second) // whoever is suspect for ever is closed in the end
	for _, l := range e.open() {
		e.server.Suspect(l.server, false)
		e.node.Suspect(l.node, false)
	}
	e.connect(false)
	talking.Wait()
	time.Sleep(6 * time.Minute)
	failed = e.finish()
	for i := range relays {
		failed = errors.Join(failed, e.check(i, clients[i], services[i]), e.check(i, services[i], clients[i]))
	}
	return failed
}

// check compares what one side got with what the other one sent.
func (e *ends) check(i int, to, from *talk) error {
	times, ok := e.began.Load(fmt.Sprintf("10.0.0.1:%d", i+1))
	if !ok || times.(*atomic.Int32).Load() != 1 {
		if from.reset || to.reset {
			return nil // it may have been over before the node heard of it
		}
		return fmt.Errorf("relay %d: the service did not begin once", i+1)
	}
	if from.reset || to.reset {
		if to.got > from.total || to.result == io.EOF && to.got != from.total {
			return fmt.Errorf("relay %d: %d of %d bytes, and %w", i+1, to.got, from.total, to.result)
		}
		return nil
	}
	if to.got != from.total || to.result != io.EOF {
		return fmt.Errorf("relay %d: %d of %d bytes, and %w", i+1, to.got, from.total, to.result)
	}
	return nil
}

// histories is how many are played.
func histories() uint64 {
	if more, err := strconv.ParseUint(os.Getenv("APQUIC_HISTORIES"), 10, 64); err == nil {
		return more
	}
	return 100
}

// TestHistories opens, cuts and ends connections at random; every byte must arrive once and in order, every end be that of
// the other side, the service begin once, and nothing be left.
func TestHistories(t *testing.T) {
	const parts = 8
	for part := range uint64(parts) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < histories(); seed += parts {
				if only := os.Getenv("SEED"); only != "" && only != fmt.Sprint(seed) {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					if err := newEnds(t, seed).history(); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}
