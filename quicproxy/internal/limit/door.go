package limit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// openFor is how long an address may begin connections after a knock: longer than a dial lasts, which knocks again
	// each time that it tries.
	openFor = 20 * time.Second
	// A knock is remembered for knockMemory at least, while it may not be used from anywhere else.
	knockMemory = 5 * time.Minute
	maxKnocks   = 1 << 14
	// knockSkew is how wrong a clock may be before its knocks are doubtful. Those have a rate, which nothing else shares.
	knockSkew     = 10 * time.Minute
	doubtfulRate  = 16 // per second
	doubtfulBurst = 1024
	maxOpen       = 1 << 13 // addresses with their ports
)

// Door lets in who knocked.
//
// A knock is good for the one IP address that it came from first, as long as it is remembered. So who overhears one can
// use it elsewhere only after that, for one address in knockMemory and for openFor each time. The clock of a node decides
// nothing on its own: a machine without a clock of its own begins in 1970, and one that was off begins yesterday. It is
// only that knocks whose time is wrong share a rate, so that a store of old ones cannot fill the door.
type Door struct {
	mu       sync.Mutex
	open     map[netip.AddrPort]time.Time // until when
	doubtful *rate.Limiter

	// The knocks of lately, in two generations: their random parts, and where they came from.
	knocks, older map[[16]byte]netip.Addr
	turned        time.Time
}

// NewDoor makes a door that nobody has passed.
func NewDoor() *Door {
	return &Door{
		open:     make(map[netip.AddrPort]time.Time),
		doubtful: rate.NewLimiter(doubtfulRate, doubtfulBurst),
		knocks:   make(map[[16]byte]netip.Addr),
	}
}

// Knock takes a knock whose tag is right, and reports whether it opened the door for its address. at is its time by the
// sender's clock, claimed where the sender believes to be.
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
		if (now.Sub(at).Abs() > knockSkew || elsewhere) && !d.doubtful.AllowN(now, 1) {
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

// turnLocked forgets the older half of the knocks when the other half is old enough, or as large as it may be.
func (d *Door) turnLocked(now time.Time) {
	if now.Sub(d.turned) > knockMemory || len(d.knocks) >= maxKnocks {
		d.older, d.knocks, d.turned = d.knocks, make(map[[16]byte]netip.Addr), now
	}
}

// openLocked lets an address in. Above the limit any other one has to knock again, as it does with each packet that
// begins a connection: the packet behind a knock is there long before another knock can take its place.
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
