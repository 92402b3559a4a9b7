package lease_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/lease/leasetest"
)

var firstSeed = flag.Uint64("seed", 0, "the first of the seeds of TestSimulation")

// TestSimulation does random things to a Lessor while its store, its ports and its process fail at random,
// and compares it with a model after each of them.
func TestSimulation(t *testing.T) {
	t.Parallel()
	const seeds, steps = 8, 2500
	for seed := *firstSeed; seed < *firstSeed+seeds; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSimulation(t, seed)
				for i := range steps {
					if s.step(); t.Failed() {
						t.Fatalf("step %d: %s", i, s.last)
					}
				}
				s.finish()
				t.Logf("%v", s.done)
			})
		})
	}
}

// expected is what the model knows of a key.
type expected struct {
	port     uint16
	attached bool
	// transport is the one that it was granted for last.
	transport lease.Transport
	since     time.Time // of the last sign of its owner: never expired before since + hold
	floor     time.Time // of HoldNode: nor before this
	// unsure: the last write failed. Until the store works again, a crash may bring back no lease, this one,
	// or one at the ports that it was to move to.
	unsure bool
	maybe  []uint16
}

// given says when a port was given up last: between two times. A port of which that is not known has vague.
type given struct {
	first, last time.Time
	vague       bool
}

type simulation struct {
	*world
	given  map[uint16]given              // without an entry nobody ever had the port
	had    map[lease.Key]map[uint16]bool // all that a key ever had
	random *rand.Rand
	model  map[lease.Key]*expected
	tried  map[lease.Key]uint16 // failed grants of keys without a lease
	broken bool                 // the store fails sometimes
	last   string
	done   map[string]int
}

const (
	simulatedNodes    = 6
	simulatedServices = 4
	simulatedMax      = 3
	// blind is how long a port may be passed over after it could not be had: when it was refused, or when a
	// failed grant left a record at it.
	blind = time.Minute
)

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		random: rand.New(rand.NewPCG(seed, 1)),
		given:  make(map[uint16]given), had: make(map[lease.Key]map[uint16]bool),
		model: make(map[lease.Key]*expected), tried: make(map[lease.Key]uint16), done: make(map[string]int),
	}
	s.world = newWorld(t, func(c *lease.Config) {
		c.Ports = mustRange(t, "20000-20009,20012-20015")
		c.MaxPerNode = simulatedMax
		c.Keep = isKept
	})
	chance := rand.New(rand.NewPCG(seed, 3))
	s.ports.mu.Lock()
	s.ports.chance = func() bool { return chance.IntN(20) == 0 }
	s.ports.mu.Unlock()
	return s
}

// isKept: the leases of every other node outlast the hold time.
func isKept(key lease.Key) bool { return key.Node[0]%2 == 0 }

func (s *simulation) step() {
	s.last = ""
	switch n := s.random.IntN(100); {
	case n < 45:
		s.doGrant()
	case n < 61:
		s.doDetach()
	case n < 66:
		s.doRelease()
	case n < 68:
		s.doHoldNode()
	case n < 88:
		s.doWait()
	case n < 92:
		s.doPorts()
	case n < 97:
		s.doStore()
	default:
		s.doCrash()
	}
	s.check()
}

func (s *simulation) did(format string, args ...any) {
	s.last += fmt.Sprintf(format, args...) + "; "
}

func (s *simulation) key() lease.Key {
	return leasetest.Key(byte(s.random.IntN(simulatedNodes)), string(rune('a'+s.random.IntN(simulatedServices))))
}

func (s *simulation) doGrant() {
	r := lease.Request{Key: s.key(), Origin: fmt.Sprint("tcp://127.0.0.1:", 80+s.random.IntN(2))}
	if s.random.IntN(4) == 0 {
		r.WantedPort = uint16(20000 + s.random.IntN(18))
	}
	if s.random.IntN(8) == 0 {
		r.Transport = lease.Transport(s.random.IntN(3))
	}
	if s.random.IntN(3) == 0 {
		r.Services = append(r.Services, r.Service)
		for i := range simulatedServices {
			if s.random.IntN(2) == 0 {
				r.Services = append(r.Services, string(rune('a'+i)))
			}
		}
	}
	before := s.leases()
	attached, held := s.ofNode(r)
	m := s.model[r.Key]
	g, err := s.lessor.Grant(s.t.Context(), r)
	s.did("Grant(%v, %d, %v) = %d, %v", r.Key, r.WantedPort, r.Services, g.Port, err)
	if err == nil {
		s.done["granted"]++
		if opened, open := s.ports.openedFor(g.Port); !open || opened != r.Transport || g.Transport != r.Transport {
			s.t.Fatalf("port %d is open: %v, for %v; the lease has %v, want %v", g.Port, open, opened, g.Transport, r.Transport)
		}
		from, owned := before[g.Port]
		others := attached + len(held)
		if mayRename(r, from, m) {
			held = slices.DeleteFunc(held, func(l lease.Lease) bool { return l.Key == from.Key })
			if !s.refusedFirst(r, held) {
				others--
			}
		}
		s.evicted(r, others, held)
		if owned && from.Key != r.Key && s.model[from.Key] != nil {
			s.checkTakenOver(r, from, m, before)
			delete(s.model, from.Key)
		}
		s.checkGrant(r, g, m, before)
		if m != nil && m.port != g.Port {
			s.gaveUp(m.port, time.Now())
		}
		s.model[r.Key] = &expected{port: g.Port, attached: true, transport: r.Transport}
		delete(s.tried, r.Key)
		return
	}
	s.evicted(r, attached+len(held), held)
	s.transportChanged(r, m)
	if s.broken {
		s.mayBeTakenOver(r)
	}
	full, isFull := errors.AsType[*lease.RangeFullError](err)
	switch {
	case errors.Is(err, lease.ErrPortOutOfRange):
		s.done["out of range"]++
		if s.config.Ports.Contains(r.WantedPort) {
			s.t.Error("the port is in the range")
		}
	case errors.Is(err, lease.ErrTooManyServices):
		s.done["too many"]++
		if attached < simulatedMax {
			s.t.Errorf("%d are not too many", attached)
		}
	case errors.Is(err, lease.ErrPortBusy):
		s.done["busy"]++
		if m == nil || m.attached {
			s.t.Error("there is no held lease whose port could be busy")
		} else {
			m.since = time.Time{} // prolonged or not
			m.unsure = true
		}
	case isFull:
		s.done["full"]++
		if m != nil || full.Attached+full.Held+full.Unbindable != full.Size || full.Attached+full.Held != len(s.leases()) {
			s.t.Errorf("wrong numbers: %+v", full)
		}
		s.checkPassedOver(r.Key, before, 0)
	case !s.broken || !errors.Is(err, errBroken):
		s.t.Errorf("unexpected error")
	case m != nil:
		s.done["failed"]++
		m.unsure, m.maybe = true, append(m.maybe, r.WantedPort)
	default:
		s.done["failed"]++
		s.tried[r.Key] = 1
	}
}

// transportChanged: a grant for another transport failed, perhaps after the port was taken from its owner.
func (s *simulation) transportChanged(r lease.Request, m *expected) {
	if m == nil || !m.attached || m.transport == r.Transport {
		return
	}
	if l := s.leases()[m.port]; !l.Attached() && l.Transport == r.Transport {
		m.attached, m.since = false, time.Now()
		s.done["transport changed"]++
	}
}

// gaveUp notes that a port was given up since then.
func (s *simulation) gaveUp(port uint16, since time.Time) {
	s.given[port] = given{first: since, last: time.Now(), vague: s.broken}
}

// checkTakenOver: whose port it was has another name now, or has been away for longest of all and there is no
// other port.
func (s *simulation) checkTakenOver(r lease.Request, from lease.Lease, m *expected, before map[uint16]lease.Lease) {
	if mayRename(r, from, m) {
		s.done["renamed"]++
		return
	}
	s.done["given away"]++
	s.gaveUp(from.Port, time.Now())
	if from.State() != lease.Lapsed || !isKept(from.Key) {
		s.t.Errorf("the port was that of %+v", from)
	}
	s.checkPassedOver(r.Key, before, 0)
	for _, l := range before {
		if l.State() == lease.Lapsed && isKept(l.Key) && l.HeldUntil.Before(from.HeldUntil) && !s.excused(l.Port) {
			s.t.Errorf("%+v lapsed before %+v", l, from)
		}
	}
}

func mayRename(r lease.Request, from lease.Lease, m *expected) bool {
	return from.Node == r.Node && !from.Attached() && len(r.Services) > 0 && !slices.Contains(r.Services, from.Service) &&
		(from.Port == r.WantedPort || m == nil && from.Origin == r.Origin)
}

// mayBeTakenOver: a grant failed that may have been about the port of another.
func (s *simulation) mayBeTakenOver(r lease.Request) {
	for key, m := range s.model {
		if !m.attached && (key.Node == r.Node || isKept(key)) {
			m.unsure = true
		}
	}
}

// checkGrant: the own port, unless another was asked for; else the best.
func (s *simulation) checkGrant(r lease.Request, g lease.Grant, m *expected, before map[uint16]lease.Lease) {
	_, wantedTaken := before[r.WantedPort]
	switch {
	case g.Key != r.Key || g.Origin != r.Origin || !g.Attached() || g.WantedTaken != (r.WantedPort != 0 && r.WantedPort != g.Port):
		s.t.Errorf("wrong answer %+v", g)
	case r.WantedPort != 0 && g.Port == r.WantedPort:
	case m != nil && g.Port != m.port:
		s.t.Errorf("the port was %d", m.port)
	case m == nil && before[g.Port].Port == 0 && !s.had[r.Key][g.Port]:
		s.checkPassedOver(r.Key, before, g.Port)
	}
	switch {
	case m != nil && m.port != g.Port && g.Previous.Port != m.port, m != nil && m.port == g.Port && g.Previous.Port != 0:
		s.t.Errorf("the port was %d, and Grant says %d", m.port, g.Previous.Port)
	case g.Previous.Port != 0 && (g.Previous.Port == g.Port || g.Why == ""):
		s.t.Errorf("wrong history: %+v", g)
	}
	if r.WantedPort != 0 && g.WantedTaken && !wantedTaken && !s.excused(r.WantedPort) {
		s.t.Error("the wanted port was free")
	}
}

// checkPassedOver: each port that would have been better than got (0: each) had a reason not to be given.
func (s *simulation) checkPassedOver(key lease.Key, before map[uint16]lease.Lease, got uint16) {
	for port := range s.config.Ports.All() {
		if _, owned := before[port]; !owned && port != got && !s.excused(port) && (got == 0 || s.better(port, got)) {
			s.t.Errorf("the free port %d was passed over for %v: %+v, %+v", port, key, s.given[port], s.given[got])
		}
	}
}

// better: never used comes before used, lower before higher, and long ago before lately.
func (s *simulation) better(a, b uint16) bool {
	left, usedA := s.given[a]
	right, usedB := s.given[b]
	switch {
	case left.vague || right.vague:
		return false
	case usedA && usedB:
		return left.last.Before(right.first)
	case usedA == usedB:
		return a < b
	default:
		return usedB
	}
}

func (s *simulation) refusedNow(port uint16) bool {
	s.ports.mu.Lock()
	defer s.ports.mu.Unlock()
	return s.ports.refused[port].Equal(time.Now())
}

// excused: the port could not be had a moment ago, or the store may have a record there that no lease belongs
// to.
func (s *simulation) excused(port uint16) bool {
	s.ports.mu.Lock()
	defer s.ports.mu.Unlock()
	if at, ok := s.ports.refused[port]; ok && time.Since(at) < bindAgain {
		return true
	}
	at, ok := s.ports.left[port]
	return ok && time.Since(at) <= blind+bindAgain
}

// bindAgain is within which a port that could not be opened is tried again.
const bindAgain = 5 * time.Second

// ofNode counts the other leases of the node that asks.
func (s *simulation) ofNode(r lease.Request) (attached int, held []lease.Lease) {
	for _, l := range s.lessor.Leases() {
		switch {
		case l.Node != r.Node || l.Key == r.Key:
		case l.Attached():
			attached++
		default:
			held = append(held, l)
		}
	}
	slices.SortStableFunc(held, func(a, b lease.Lease) int {
		switch inUse := slices.Contains(r.Services, a.Service); {
		case inUse == slices.Contains(r.Services, b.Service):
			return a.HeldUntil.Compare(b.HeldUntil)
		case inUse:
			return 1
		default:
			return -1
		}
	})
	return attached, held
}

// refusedFirst: the node made room because it could not have the wanted port, or that of another renamed
// service, and then took a lease over after all: as a renamed one, or because no other port was left.
func (s *simulation) refusedFirst(r lease.Request, held []lease.Lease) bool {
	return s.refusedNow(r.WantedPort) || slices.ContainsFunc(held, func(l lease.Lease) bool {
		return mayRename(r, l, nil) && s.refusedNow(l.Port)
	})
}

// evicted: only the oldest held leases of the node itself may have gone, and only as many as were too many
// beside so many others.
func (s *simulation) evicted(r lease.Request, others int, held []lease.Lease) {
	now := s.leases()
	if s.model[r.Key] != nil {
		return // check finds what is missing
	}
	for range others + 1 - simulatedMax {
		if len(held) == 0 {
			return
		}
		oldest := held[0]
		held = held[1:]
		if now[oldest.Port].Key != oldest.Key {
			delete(s.model, oldest.Key)
			s.gaveUp(oldest.Port, time.Now())
			s.done["evicted"]++
		} else if m := s.model[oldest.Key]; m != nil && s.broken {
			m.unsure = true // that failed, if it came to it
		}
	}
}

func (s *simulation) doDetach() {
	key := s.key()
	err := s.lessor.Detach(s.t.Context(), key)
	s.did("Detach(%v) = %v", key, err)
	if err != nil && (!s.broken || !errors.Is(err, errBroken)) {
		s.t.Error("unexpected error")
	}
	if m := s.model[key]; m != nil {
		if m.attached {
			m.attached, m.since = false, time.Now()
		}
		m.unsure = m.unsure || err != nil
	}
}

func (s *simulation) doRelease() {
	key := s.key()
	err := s.lessor.Release(s.t.Context(), key)
	s.did("Release(%v) = %v", key, err)
	switch m := s.model[key]; {
	case err == nil:
		if m != nil {
			s.gaveUp(m.port, time.Now())
		}
		delete(s.model, key)
	case !s.broken || !errors.Is(err, errBroken):
		s.t.Error("unexpected error")
	case m != nil:
		m.unsure = true
	}
}

// doHoldNode sends a node away, as far as the leases are concerned.
func (s *simulation) doHoldNode() {
	node := s.key().Node
	until := time.Now().Add(time.Duration(s.random.Int64N(int64(3 * time.Hour))))
	err := s.lessor.HoldNode(s.t.Context(), node, until)
	s.did("HoldNode(%v, %v) = %v", node, until, err)
	if err != nil && (!s.broken || !errors.Is(err, errBroken)) {
		s.t.Error("unexpected error")
	}
	for key, m := range s.model {
		if key.Node != node {
			continue
		}
		if m.attached {
			m.attached, m.since = false, time.Time{}
		}
		if m.floor.Before(until) {
			m.floor = until
		}
		m.unsure = m.unsure || err != nil
	}
	s.done["sent away"]++
}

// doWait lets time pass: mostly seconds, sometimes until leases expire.
func (s *simulation) doWait() {
	d := time.Duration(s.random.Int64N(int64(8 * time.Second)))
	if s.random.IntN(4) == 0 {
		d = time.Duration(s.random.Int64N(int64(40 * time.Minute)))
	}
	s.did("wait %v", d)
	time.Sleep(d)
	synctest.Wait()
}

func (s *simulation) doPorts() {
	port := uint16(20000 + s.random.IntN(18))
	busy := s.random.IntN(3) == 0
	s.did("port %d busy %v", port, busy)
	s.ports.occupy(busy, port)
}

// doStore breaks the store, which then fails every other time, or repairs it.
func (s *simulation) doStore() {
	if s.broken {
		s.did("repair")
		s.repairStore()
		return
	}
	s.did("break")
	s.broken = true
	chance := rand.New(rand.NewPCG(s.random.Uint64(), 2))
	s.store.failWith(func(string) (before, after bool) {
		switch chance.IntN(4) {
		case 0:
			return true, false
		case 1:
			return false, true
		}
		return false, false
	})
}

// repairStore gives Run the time to make the store agree with memory.
func (s *simulation) repairStore() {
	s.broken = false
	s.store.repair()
	time.Sleep(6 * time.Second)
	synctest.Wait()
	for _, m := range s.model {
		m.unsure, m.maybe = false, nil
	}
	clear(s.tried)
	s.done["repaired"]++
	s.wantStored(portsOf(s.lessor.Leases())...)
}

// doCrash loses all memory at once, and compares what comes back with what the owners were told.
func (s *simulation) doCrash() {
	s.did("crash")
	s.done["crashed"]++
	s.stop()
	s.store.repair()
	s.start()
	synctest.Wait()
	s.broken = false
	now := time.Now()
	back := make(map[lease.Key]lease.Lease)
	for _, l := range s.lessor.Leases() {
		back[l.Key] = l
	}
	for key, m := range s.model {
		l, ok := back[key]
		switch {
		case ok && (l.Port == m.port || m.unsure && slices.Contains(m.maybe, l.Port)):
			if m.port != l.Port {
				s.given[m.port] = given{vague: true}
			}
			m.port = l.Port
		case !ok && m.unsure, !ok && !m.attached && s.mayHaveExpired(key, m):
			s.given[m.port] = given{vague: true}
			delete(s.model, key)
			continue
		default:
			s.t.Errorf("%v had port %d (%+v) and has %+v", key, m.port, *m, l)
		}
		if m.attached {
			m.since = now
		}
		m.attached = false
		if m.unsure {
			m.since, m.floor = time.Time{}, time.Time{}
		}
		m.unsure, m.maybe = false, nil
	}
	for key, l := range back {
		if s.model[key] == nil { // a grant, release or expiry that had failed half-way
			s.model[key] = &expected{port: l.Port}
			s.given[l.Port] = given{vague: true}
		}
	}
	clear(s.tried)
}

func (s *simulation) mayHaveExpired(key lease.Key, m *expected) bool {
	return !isKept(key) && !time.Now().Before(m.since.Add(s.config.HoldTime)) && !time.Now().Before(m.floor)
}

func (s *simulation) leases() map[uint16]lease.Lease {
	leases := make(map[uint16]lease.Lease)
	for _, l := range s.lessor.Leases() {
		leases[l.Port] = l
	}
	return leases
}

// check compares memory, ports and store with the model.
func (s *simulation) check() {
	leases := s.lessor.Leases()
	keys := make(map[lease.Key]lease.Lease)
	numbers := make(map[uint16]bool)
	for _, l := range leases {
		if _, twice := keys[l.Key]; twice || numbers[l.Port] || !s.config.Ports.Contains(l.Port) {
			s.t.Errorf("%+v: key or port twice, or out of range", l)
		}
		keys[l.Key], numbers[l.Port] = l, true
		if s.had[l.Key] == nil {
			s.had[l.Key] = make(map[uint16]bool)
		}
		s.had[l.Key][l.Port] = true
	}
	for port, key := range s.ports.snapshot() {
		if l, ok := keys[key]; !ok || l.Port != port {
			s.t.Errorf("port %d is bound for %v, which has %+v", port, key, l)
		}
	}
	for key, m := range s.model {
		l, ok := keys[key]
		switch {
		case !ok && !m.attached && s.mayHaveExpired(key, m):
			s.gaveUp(m.port, m.since.Add(s.config.HoldTime))
			delete(s.model, key)
			s.done["expired"]++
		case !ok || l.Port != m.port || l.Attached() != m.attached:
			s.t.Errorf("%v should have %+v, has %+v", key, *m, l)
		case m.attached && !s.isOpen(l):
			s.t.Errorf("%v is attached, but its port is not bound", key)
		case l.State() == lease.Held && !s.isOpen(l) && time.Since(s.ports.refusedAt(l.Port)) > bindAgain:
			s.t.Errorf("%v is held, but its port is not bound, and nobody tries: %+v", key, l)
		case !l.Attached() && l.HeldUntil.Before(m.floor):
			s.t.Errorf("%v should be held until %v: %+v", key, m.floor, l)
		case isKept(key) && l.State() == lease.Lapsed && time.Since(l.HeldUntil) > 6*time.Second && s.ports.snapshot()[l.Port] == key:
			s.t.Errorf("%v has lapsed, but its port is bound", key)
		case !l.Attached() && !s.broken && !isKept(key) && !l.HeldUntil.After(time.Now().Add(-6*time.Second)):
			s.t.Errorf("%v is held since long ago: %+v", key, l)
		}
	}
	for key, l := range keys {
		if s.model[key] == nil {
			s.t.Errorf("nobody knows of %+v", l)
		}
	}
	s.checkStore(keys)
}

// isOpen reports whether the port of a lease is open for its transport.
func (s *simulation) isOpen(l lease.Lease) bool {
	opened, open := s.ports.openedFor(l.Port)
	return open && opened == l.Transport && s.ports.snapshot()[l.Port] == l.Key
}

// checkStore: what is in memory and not in doubt is stored as it is; and no other key has its port there.
func (s *simulation) checkStore(keys map[lease.Key]lease.Lease) {
	stored, err := s.store.Store.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	records := make(map[lease.Key]lease.Lease)
	for _, l := range stored {
		records[l.Key] = l
		if _, known := keys[l.Key]; !known {
			s.ports.leave(l.Port)
		} else if keys[l.Key].Port != l.Port {
			s.ports.leave(l.Port)
		}
	}
	for key, m := range s.model {
		if r, ok := records[key]; !m.unsure && !s.broken && (!ok || r.Port != m.port) {
			s.t.Errorf("%v has port %d, but stored is %+v (%v)", key, m.port, r, ok)
		}
	}
}

// finish: everybody goes, and in the end nothing is left.
func (s *simulation) finish() {
	s.repairStore()
	for key := range maps.Clone(s.model) {
		if err := s.lessor.Detach(s.t.Context(), key); err != nil {
			s.t.Error(err)
		}
	}
	time.Sleep(s.config.HoldTime + 3*time.Hour)
	synctest.Wait()
	s.wantStored(slices.DeleteFunc(portsOf(s.lessor.Leases()), func(port uint16) bool { return !isKept(s.leases()[port].Key) })...)
	if bound := s.ports.snapshot(); len(bound) > 0 {
		s.t.Errorf("still bound: %v", bound)
	}
	s.stop()
}
