package bytestream

import (
	"context"
	"sync"

	"apquic/quicproxy/internal/quicstream"
)

// ending has somebody told once when nothing more is to be written.
type ending struct {
	mu      sync.Mutex
	watcher func(reset bool)
	ended   bool // watcher was called, or is to be called as soon as it is there
	reset   bool // with this
}

func (e *ending) watch(ended func(reset bool)) {
	e.mu.Lock()
	e.watcher = ended
	now, reset := e.ended, e.reset
	e.mu.Unlock()
	if now {
		ended(reset)
	}
}

func (e *ending) notify(reset bool) {
	e.mu.Lock()
	watcher := e.watcher
	if e.ended {
		watcher = nil
	}
	e.ended, e.reset = true, e.reset || reset
	e.mu.Unlock()
	if watcher != nil {
		watcher(reset)
	}
}

// watchSending has look called once, counted by working, when nothing more goes out on a QUIC stream. After
// unwatch it is not called, or runs already. It costs half a KiB and a goroutine, so a stream that resumes,
// of which messages tell the same, does without.
func watchSending(stream quicstream.Stream, working *sync.WaitGroup, look func()) (unwatch func()) {
	working.Add(1)
	stop := context.AfterFunc(stream.Context(), func() {
		defer working.Done()
		look()
	})
	return func() {
		if stop() {
			working.Done()
		}
	}
}
