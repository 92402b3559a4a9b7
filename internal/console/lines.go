package console

import (
	"cmp"
	"io"
	"log"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"apquic/quicproxy/node"
)

// If a server keeps changing the address of a service, one line is printed every lineEvery per service, after
// a burst.
const (
	lineEvery = time.Minute
	lineBurst = 16
)

// PrivateScheme begins the address of a private service.
const PrivateScheme = "private:"

// Lines prints a line per lease, with the addresses in one column.
type Lines struct {
	to *log.Logger // writes whole lines, from any goroutine

	mu     sync.Mutex
	width  int
	limits map[string]*rate.Limiter // by service
}

// NewLines returns Lines for the services with these names.
func NewLines(to io.Writer, services []string) *Lines {
	l := &Lines{to: log.New(to, "", 0), limits: make(map[string]*rate.Limiter)}
	l.Follow(services)
	return l
}

// Follow makes these the services that have leases from now on.
func (l *Lines) Follow(services []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.limits
	l.width, l.limits = 0, make(map[string]*rate.Limiter)
	for _, name := range services {
		l.width = max(l.width, len(name))
		l.limits[name] = cmp.Or(before[name], rate.NewLimiter(rate.Every(lineEvery), lineBurst))
	}
}

// Print prints the line of a lease.
func (l *Lines) Print(lease node.Lease) {
	l.mu.Lock()
	width, limit := l.width, l.limits[lease.Service]
	l.mu.Unlock()
	if limit == nil || !limit.Allow() { // or it is gone
		return
	}
	if target, private := strings.CutPrefix(lease.PublicAddress, PrivateScheme); private {
		l.to.Printf("private %s -> %s (apquic-node connect %s)", lease.Service, lease.Origin, target)
		return
	}
	l.to.Printf("%-*s  %s -> %s", width, lease.Service, lease.PublicAddress, lease.Origin)
	if lease.Name != "" {
		l.to.Printf("%-*s  %s -> %s", width, lease.Service, lease.Name, lease.Origin)
	}
}
