package web

import (
	"net/netip"
	"sync"

	"apquic/internal/login"
)

const (
	// maxRequests bounds the requests of a site that are on their way at once, each of which costs about 100 KiB;
	// one in addressShare of them may come from one address, or one /64.
	maxRequests  = 1024
	addressShare = 4
)

// requests counts those on their way.
type requests struct {
	mu    sync.Mutex
	total int
	from  map[netip.Prefix]int
}

// take counts a request of a client; give is to follow if it reports true.
func (r *requests) take(client string) bool {
	origin := login.Origin(client)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total >= maxRequests || r.from[origin] >= maxRequests/addressShare {
		return false
	}
	if r.from == nil {
		r.from = make(map[netip.Prefix]int)
	}
	r.total++
	r.from[origin]++
	return true
}

func (r *requests) give(client string) {
	origin := login.Origin(client)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total--
	if r.from[origin]--; r.from[origin] == 0 {
		delete(r.from, origin)
	}
}
