package wait

import "sync"

// Queue does things one after the other, in a goroutine that is there only while there are some: of what is idle there are
// many. Its zero value is ready.
type Queue[T any] struct {
	working sync.WaitGroup

	mu     sync.Mutex
	things []T // the first is being done
	closed bool
}

// Add has do done to thing, after all that was added before. It reports false if there are most already, or after Close.
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

// Close takes nothing more and returns when the last thing is done.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.working.Wait()
}
