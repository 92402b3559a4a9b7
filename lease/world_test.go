package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

var errBroken = errors.New("the disk is broken")

// faultyStore is a store whose writes fail when the test says so: before they happened, or after.
type faultyStore struct {
	lease.Store

	mu     sync.Mutex
	fail   func(op string) (before, after bool)
	writes int
	held   chan struct{} // while not nil, Put waits for its end or that of its context
	inPut  chan struct{} // gets a token when Put begins to wait
}

func (s *faultyStore) do(op string, f func() error) error {
	s.mu.Lock()
	var before, after bool
	if s.fail != nil {
		before, after = s.fail(op)
	}
	if op != "list" {
		s.writes++
	}
	s.mu.Unlock()
	if before {
		return errBroken
	}
	err := f()
	if err == nil && after {
		return errBroken
	}
	return err
}

func (s *faultyStore) Put(ctx context.Context, l lease.Lease, ended ...lease.Ended) (stored lease.Lease, err error) {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		s.inPut <- struct{}{}
		select {
		case <-held:
		case <-ctx.Done():
			return lease.Lease{}, context.Cause(ctx)
		}
	}
	err = s.do("put", func() error {
		stored, err = s.Store.Put(ctx, l, ended...)
		return err
	})
	return stored, err
}

func (s *faultyStore) Move(ctx context.Context, from, l lease.Lease, ended ...lease.Ended) (stored lease.Lease, err error) {
	err = s.do("move", func() error {
		stored, err = s.Store.Move(ctx, from, l, ended...)
		return err
	})
	return stored, err
}

func (s *faultyStore) Delete(ctx context.Context, key lease.Key, revision uint64, ended ...lease.Ended) error {
	return s.do("delete", func() error { return s.Store.Delete(ctx, key, revision, ended...) })
}

func (s *faultyStore) List(ctx context.Context) (leases []lease.Lease, err error) {
	err = s.do("list", func() error {
		leases, err = s.Store.List(ctx)
		return err
	})
	return leases, err
}

func (s *faultyStore) failWith(fail func(op string) (before, after bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *faultyStore) breakDown() { s.failWith(func(string) (bool, bool) { return true, false }) }
func (s *faultyStore) breakAfter() {
	s.failWith(func(op string) (bool, bool) { return false, op != "list" })
}
func (s *faultyStore) repair() { s.failWith(nil) }

func (s *faultyStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// ports is a Binder that keeps to the rules of a machine and complains when the Lessor breaks those of the
// interface.
type ports struct {
	t *testing.T

	mu      sync.Mutex
	busy    map[uint16]bool // other programs have them
	bound   map[uint16]lease.Key
	opened  map[uint16]lease.Transport // of those
	domains map[string]lease.Key       // that are bound
	refused map[uint16]time.Time       // when Bind failed last
	left    map[uint16]time.Time       // when a failed write was last seen to have left a record there
	chance  func() bool                // of failing, nil: none
	inside  int
	onBind  func()
}

func newPorts(t *testing.T) *ports {
	return &ports{
		t: t, busy: make(map[uint16]bool), bound: make(map[uint16]lease.Key), opened: make(map[uint16]lease.Transport),
		domains: make(map[string]lease.Key), refused: make(map[uint16]time.Time), left: make(map[uint16]time.Time),
	}
}

func (p *ports) enter() (leave func()) {
	p.mu.Lock()
	if p.inside++; p.inside != 1 {
		p.t.Error("the binder is called twice at a time")
	}
	onBind := p.onBind
	p.mu.Unlock()
	if onBind != nil {
		onBind()
	}
	p.mu.Lock()
	return func() { p.inside--; p.mu.Unlock() }
}

func (p *ports) Bind(l lease.Lease) error {
	defer p.enter()()
	if l.Domain != "" {
		if owner, ok := p.domains[l.Domain]; ok {
			p.t.Errorf("%s is bound for %v while %v has it", l.Domain, l.Key, owner)
		}
		p.domains[l.Domain] = l.Key
		return nil
	}
	if owner, ok := p.bound[l.Port]; ok {
		p.t.Errorf("port %d is bound for %v while %v has it", l.Port, l.Key, owner)
	}
	if p.busy[l.Port] || p.chance != nil && p.chance() {
		p.refused[l.Port] = time.Now()
		return errors.New("address already in use")
	}
	p.bound[l.Port], p.opened[l.Port] = l.Key, l.Transport
	return nil
}

func (p *ports) Unbind(l lease.Lease) {
	defer p.enter()()
	if l.Domain != "" {
		if owner, ok := p.domains[l.Domain]; !ok || owner != l.Key {
			p.t.Errorf("%s is unbound for %v, but bound for %v (%v)", l.Domain, l.Key, owner, ok)
		}
		delete(p.domains, l.Domain)
		return
	}
	if owner, ok := p.bound[l.Port]; !ok || owner != l.Key {
		p.t.Errorf("port %d is unbound for %v, but bound for %v (%v)", l.Port, l.Key, owner, ok)
	}
	if opened := p.opened[l.Port]; opened != l.Transport {
		p.t.Errorf("port %d is unbound for %v, but bound for %v", l.Port, l.Transport, opened)
	}
	delete(p.bound, l.Port)
	delete(p.opened, l.Port)
}

// refusedAt is when a port was last refused.
func (p *ports) refusedAt(port uint16) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused[port]
}

// openedFor is the transport of an open port.
func (p *ports) openedFor(port uint16) (transport lease.Transport, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	transport, open = p.opened[port]
	return transport, open
}

func (p *ports) occupy(busy bool, numbers ...uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range numbers {
		p.busy[port] = busy
	}
}

func (p *ports) leave(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left[port] = time.Now()
}

func (p *ports) snapshot() map[uint16]lease.Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.bound)
}

// world is a server's part that has to do with leases. Its store outlives it.
type world struct {
	t      *testing.T
	store  *faultyStore
	ports  *ports
	lessor *lease.Lessor
	logged *logBuffer
	config lease.Config
	stop   func()
}

func newWorld(t *testing.T, change ...func(*lease.Config)) *world {
	t.Helper()
	w := &world{t: t, store: &faultyStore{Store: lease.NewMemoryStore()}, logged: new(logBuffer), stop: func() {}}
	w.config = lease.Config{Ports: mustRange(t, "20000-20009"), HoldTime: time.Hour, Log: slog.New(slog.NewTextHandler(w.logged, nil))}
	for _, f := range change {
		f(&w.config)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start begins the life of a server with what the store has.
func (w *world) start() {
	w.t.Helper()
	w.create()
	if err := w.lessor.Load(w.t.Context()); err != nil {
		w.t.Fatalf("Load: %v", err)
	}
	w.run()
}

// create makes a Lessor on a machine where nothing of the last one is left.
func (w *world) create() {
	w.t.Helper()
	fresh := newPorts(w.t)
	if w.ports != nil { // other programs do not care
		fresh.busy, fresh.chance = w.ports.busy, w.ports.chance
	}
	w.ports = fresh
	w.config.Store, w.config.Binder = w.store, w.ports
	lessor, err := lease.NewLessor(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lessor = lessor
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	lessor := w.lessor
	group.Go(func() {
		if err := lessor.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.stop = func() { cancel(); group.Wait() }
}

// crash ends the server as kill -9 does, and starts it again.
func (w *world) crash() {
	w.t.Helper()
	w.stop()
	w.start()
}

func request(n byte, service string, wanted ...uint16) lease.Request {
	r := lease.Request{Key: leasetest.Key(n, service), Origin: "tcp://127.0.0.1:80"}
	if len(wanted) > 0 {
		r.WantedPort = wanted[0]
	}
	return r
}

// grant asks and wants this port.
func (w *world) grant(r lease.Request, want uint16) lease.Grant {
	w.t.Helper()
	g, err := w.lessor.Grant(w.t.Context(), r)
	switch {
	case err != nil:
		w.t.Fatalf("Grant(%v): %v", r, err)
	case g.Port != want || !g.Attached() || g.Key != r.Key || g.Origin != r.Origin:
		w.t.Fatalf("Grant(%v) = %+v, want port %d", r, g, want)
	case g.WantedTaken != (r.WantedPort != 0 && r.WantedPort != g.Port):
		w.t.Fatalf("Grant(%v) = %+v: wrong WantedTaken", r, g)
	}
	w.wantBound(g.Port, r.Key)
	return g
}

func (w *world) grantFails(r lease.Request, want error) error {
	w.t.Helper()
	g, err := w.lessor.Grant(w.t.Context(), r)
	if want == nil && err == nil || want != nil && !errors.Is(err, want) {
		w.t.Fatalf("Grant(%v) = %+v, %v, want error %v", r, g, err, want)
	}
	return err
}

func (w *world) detach(r lease.Request) {
	w.t.Helper()
	if err := w.lessor.Detach(w.t.Context(), r.Key); err != nil {
		w.t.Fatalf("Detach(%v): %v", r.Key, err)
	}
}

func (w *world) release(r lease.Request) {
	w.t.Helper()
	if err := w.lessor.Release(w.t.Context(), r.Key); err != nil {
		w.t.Fatalf("Release(%v): %v", r.Key, err)
	}
}

func (w *world) wantBound(port uint16, key lease.Key) {
	w.t.Helper()
	if got, ok := w.ports.snapshot()[port]; !ok || got != key {
		w.t.Errorf("port %d is bound for %v (%v), want %v", port, got, ok, key)
	}
}

func (w *world) wantFree(numbers ...uint16) {
	w.t.Helper()
	bound := w.ports.snapshot()
	for _, port := range numbers {
		if key, ok := bound[port]; ok {
			w.t.Errorf("port %d is bound for %v, want it free", port, key)
		}
	}
}

// wantStored compares the store and the memory with these ports.
func (w *world) wantStored(numbers ...uint16) {
	w.t.Helper()
	stored, err := w.store.Store.List(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	memory := w.lessor.Leases()
	if got := portsOf(stored); !slices.Equal(got, numbers) {
		w.t.Errorf("stored are %v, want %v", got, numbers)
	}
	if got := portsOf(memory); !slices.Equal(got, numbers) {
		w.t.Errorf("in memory are %v, want %v", got, numbers)
	}
	for i := range min(len(stored), len(memory)) {
		s, m := stored[i], memory[i]
		if s.Key != m.Key || s.Transport != m.Transport || s.Origin != m.Origin || s.Revision != m.Revision ||
			s.Kept != m.Kept || s.Pinned != m.Pinned || s.Reserved != m.Reserved || !s.HeldUntil.Equal(m.HeldUntil) {
			w.t.Errorf("memory and store differ:\n%+v\n%+v", m, s)
		}
	}
}

func portsOf(leases []lease.Lease) []uint16 {
	numbers := []uint16{}
	for _, l := range leases {
		numbers = append(numbers, l.Port)
	}
	return numbers
}

// logBuffer holds a log.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) count(s string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), s)
}
