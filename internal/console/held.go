package console

import (
	"io"
	"sync"
)

// held is a log that goes to the terminal of a view: what is written before the view is held in case there will be
// none, and what is written meanwhile is dropped, since the view shows events.
type held struct {
	to io.Writer

	mu    sync.Mutex
	bytes []byte // before the view, the last of them
	state int
}

// States of a held log.
const (
	holding = iota
	dropping
	passing
)

// Write implements io.Writer.
func (h *held) Write(text []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch h.state {
	case passing:
		return h.to.Write(text)
	case holding:
		h.bytes = append(h.bytes, text[:min(len(text), maxHeld)]...)
		h.bytes = h.bytes[max(len(h.bytes)-maxHeld, 0):]
	}
	return len(text), nil
}

// drop drops what was held, and what comes until release.
func (h *held) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes, h.state = nil, dropping
}

// release passes on what comes from now on.
func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes, h.state = nil, passing
}

// giveUp passes on what is held, and what comes from now on, if there was no view.
func (h *held) giveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == holding {
		h.to.Write(h.bytes)
		h.bytes, h.state = nil, passing
	}
}
