package watch

import (
	"context"
	"sync"
)

// Path says whether the server still answers on a connection.
type Path struct {
	Suspected chan struct{} // has room for one: the server stopped answering
	Busy      chan struct{} // has room for one: a relay began
	Woken     chan struct{} // has room for one: the server wants a message

	mu      sync.Mutex
	suspect context.Context // ends when the server answers again; nil while it does
	clear   context.CancelFunc
}

// NewPath returns a Path whose server answers.
func NewPath() *Path {
	return &Path{Suspected: make(chan struct{}, 1), Busy: make(chan struct{}, 1), Woken: make(chan struct{}, 1)}
}

// Unanswered notes that the server does not answer.
func (p *Path) Unanswered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.suspect != nil {
		return
	}
	p.suspect, p.clear = context.WithCancel(context.Background())
	p.Suspected <- struct{}{}
}

// Answered notes that it does.
func (p *Path) Answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.suspect == nil {
		return
	}
	p.clear()
	p.suspect, p.clear = nil, nil
	select {
	case <-p.Suspected: // not read yet
	default:
	}
}

// WhileSuspect returns a context that ends with ctx, as soon as the server answers, or with the connection, which is
// alive until then.
func (p *Path) WhileSuspect(ctx, alive context.Context) (context.Context, context.CancelFunc) {
	attempt, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	suspect := p.suspect
	p.mu.Unlock()
	if suspect == nil {
		cancel()
		return attempt, cancel
	}
	answered := context.AfterFunc(suspect, cancel)
	ended := context.AfterFunc(alive, cancel)
	return attempt, func() { answered(); ended(); cancel() }
}
