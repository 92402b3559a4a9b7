package wait

import "sync"

// Queue processes things in order, in a goroutine that exists only while there are some, since most queues
// are idle. Its zero value is ready.
type Queue[T any] struct {
	working sync.WaitGroup

	mu     sync.Mutex
	things []T // the first is being done
	closed bool
}

// Add queues thing for do, which runs after everything added before. It reports false if the queue already
// has most things, or after Close.
func (q *Queue[T]) Add(thing T, most int, do func(T)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.things) >= most {
		return false
	}
	if q.things = append(q.things, thing); len(q.things) == 1 {
		q.working.Go(func() { q.work(thing, do) })
	}
	return true
}

func (q *Queue[T]) work(first T, do func(T)) {
	for next, more := first, true; more; {
		do(next)
		next, more = q.done()
	}
}

// done removes the first thing and returns the next one.
func (q *Queue[T]) done() (next T, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.things = q.things[1:]; len(q.things) == 0 {
		q.things = nil
		return next, false
	}
	return q.things[0], true
}

// Close accepts nothing more and returns when the last thing is done.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.working.Wait()
}
