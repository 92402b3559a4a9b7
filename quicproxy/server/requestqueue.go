package server

import (
	"sync"

	"apquic/framing"
)

// maxRequests bounds the requests of a connection that wait for the lease store.
const maxRequests = 64

// requestQueue works off the requests of a connection one after the other. It has a goroutine only while there are
// some: idle nodes are many.
type requestQueue struct {
	working sync.WaitGroup // whoever adds may wait

	mu      sync.Mutex
	waiting []framing.Envelope
	busy    bool // there is a goroutine
}

// add reports whether there was room.
func (q *requestQueue) add(request framing.Envelope, fulfil func(framing.Envelope)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxRequests {
		return false
	}
	q.waiting = append(q.waiting, request)
	if !q.busy {
		q.busy = true
		q.working.Go(func() { q.work(fulfil) })
	}
	return true
}

func (q *requestQueue) work(fulfil func(framing.Envelope)) {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.waiting, q.busy = nil, false
			q.mu.Unlock()
			return
		}
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		fulfil(next)
	}
}
