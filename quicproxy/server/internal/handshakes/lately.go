package handshakes

import (
	"net/netip"
	"time"

	"apquic/quicproxy/internal/netaddr"
)

// lately remembers the addresses of recent nodes, each for a time, and at most most of them. In IPv6 a /64
// counts as one.
type lately struct {
	most int
	last map[netip.Prefix]time.Time
}

// remembered is how long an address counts as a node's after one was there.
const remembered = 30 * 24 * time.Hour

func newLately(most int) lately {
	return lately{most: most, last: make(map[netip.Prefix]time.Time)}
}

func (l *lately) add(address netip.Addr, now time.Time) {
	key := netaddr.Smallest(address)
	if _, known := l.last[key]; !known && len(l.last) >= l.most {
		l.forget()
	}
	l.last[key] = now
}

func (l *lately) has(address netip.Addr, now time.Time) bool {
	at, ok := l.last[netaddr.Smallest(address)]
	return ok && now.Sub(at) < remembered
}

// forget drops roughly the eighth that was added longest ago: the oldest of a few, several times.
func (l *lately) forget() {
	for range l.most/8 + 1 {
		var oldest netip.Prefix
		seen := 0
		for key, at := range l.last { // in random order
			if seen == 0 || at.Before(l.last[oldest]) {
				oldest = key
			}
			if seen++; seen == 16 {
				break
			}
		}
		delete(l.last, oldest)
	}
}
