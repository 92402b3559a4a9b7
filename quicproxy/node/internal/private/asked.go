package private

import "sync"

// Asked is who asked for streams to other nodes, by the number of the stream. Its zero value is ready.
type Asked[T any] struct {
	mu   sync.Mutex
	last uint64
	by   map[uint64]T
}

// Add gives who asks a number, until forget is called, or Take.
func (a *Asked[T]) Add(who T) (number uint64, forget func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = make(map[uint64]T)
	}
	a.last++
	a.by[a.last] = who
	number = a.last
	return number, func() { a.Take(number) }
}

// Take returns who asked for the stream with a number, once; zero: nobody did.
func (a *Asked[T]) Take(number uint64) T {
	a.mu.Lock()
	defer a.mu.Unlock()
	who := a.by[number]
	delete(a.by, number)
	return who
}
