package knock

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// openFor is how long an address may begin connections after a knock: longer than a dial lasts, which
	// knocks again with each try.
	openFor = 20 * time.Second
	// A knock is remembered for at least knockMemory, and meanwhile cannot be used from another address.
	knockMemory = 5 * time.Minute
	maxKnocks   = 1 << 14
	// knockSkew is how wrong a clock may be before its knocks are suspect. Those have a rate of their own.
	knockSkew    = 10 * time.Minute
	suspectRate  = 16 // per second
	suspectBurst = 1024
	maxOpen      = 1 << 13 // addresses with their ports
)

// Door admits addresses that have knocked.
//
// While it is remembered, a knock is valid only for the IP address that it first came from. So somebody who
// overhears one can use it elsewhere only after that, for one address per knockMemory and for openFor each
// time. A node's clock is never decisive: a machine without a clock of its own starts in 1970, and one that
// was off starts yesterday. Knocks with a wrong time only share a rate, so that a store of old ones cannot
// fill the door.
type Door struct {
	mu      sync.Mutex
	open    map[netip.AddrPort]time.Time // until when
	suspect *rate.Limiter

	// Recent knocks in two generations: their random parts, and where they came from.
	knocks, older map[[16]byte]netip.Addr
	turned        time.Time
}

// NewDoor makes a door that is closed to everybody.
func NewDoor() *Door {
	return &Door{
		open:    make(map[netip.AddrPort]time.Time),
		suspect: rate.NewLimiter(suspectRate, suspectBurst),
		knocks:  make(map[[16]byte]netip.Addr),
	}
}

// Knock takes a knock with a valid tag, and reports whether it opened the door for its address. at is the
// time by the sender's clock, claimed the address that the sender believes it has.
func (d *Door) Knock(from netip.AddrPort, random [16]byte, at time.Time, claimed netip.Addr, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turnLocked(now)
	first, again := d.knocks[random]
	if !again {
		first, again = d.older[random]
	}
	if again && first != from.Addr() {
		return false
	}
	if !again {
		elsewhere := claimed.IsValid() && claimed.Unmap() != from.Addr().Unmap()
		if (now.Sub(at).Abs() > knockSkew || elsewhere) && !d.suspect.AllowN(now, 1) {
			return false
		}
		d.knocks[random] = from.Addr()
	}
	return d.openLocked(from, now)
}

// Open reports whether an address has knocked lately.
func (d *Door) Open(from netip.AddrPort, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.open[from]
	return ok && now.Before(until)
}

// turnLocked forgets the older generation of knocks when the newer one is old enough, or as large as it may
// be.
func (d *Door) turnLocked(now time.Time) {
	if now.Sub(d.turned) > knockMemory || len(d.knocks) >= maxKnocks {
		d.older, d.knocks, d.turned = d.knocks, make(map[[16]byte]netip.Addr), now
	}
}

// openLocked admits an address. Above the limit a random other one has to knock again, as nodes do with each
// packet that begins a connection: the packet after a knock arrives long before another knock can take its
// place.
func (d *Door) openLocked(from netip.AddrPort, now time.Time) bool {
	for other := range d.open {
		if len(d.open) < maxOpen {
			break
		}
		delete(d.open, other)
	}
	d.open[from] = now.Add(openFor)
	return true
}
