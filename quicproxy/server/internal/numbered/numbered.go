// Package numbered gives numbers to what others refer to.
//
// It must not know what that is.
package numbered

import "sync"

// Map has values by their numbers, none of which is given twice. The zero Map is empty.
type Map[T any] struct {
	mu       sync.Mutex
	byNumber map[uint64]T
	last     uint64
}

// Add returns the number of a value, from 1.
func (m *Map[T]) Add(value T) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byNumber == nil {
		m.byNumber = make(map[uint64]T)
	}
	m.last++
	m.byNumber[m.last] = value
	return m.last
}

// Remove forgets a value; the number may belong to none.
func (m *Map[T]) Remove(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byNumber, number)
}

// Find returns a value; zero: there is none with the number.
func (m *Map[T]) Find(number uint64) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byNumber[number]
}

// Len is how many there are.
func (m *Map[T]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.byNumber)
}
