package carrier

import (
	"log/slog"

	"apquic/framing"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/wait"
)

// dialing is a stream while its upstream is dialed: what its client sends meanwhile waits in it.
type dialing struct {
	stream bytestream.Stream
	// waits counts what the stream holds; waiting is what the memory budget saw last. Only look uses them.
	waits   *memory.Holding
	waiting int
}

// Await counts what a client sends before its upstream is connected, until Served.
func (b *Budget) Await(stream bytestream.Stream, account *memory.Account) *dialing {
	d := &dialing{stream: stream}
	d.waits = account.Open(d)
	b.mu.Lock()
	b.dialing[d] = struct{}{}
	b.mu.Unlock()
	wait.Signal(b.Busy)
	return d
}

// Served ends Await.
func (b *Budget) Served(d *dialing) {
	b.mu.Lock()
	delete(b.dialing, d)
	b.mu.Unlock()
	d.waits.Close()
}

// look notes what waits in the stream.
func (d *dialing) look() {
	waits := 0
	if stream, _ := current(d.stream); stream != nil {
		waits = unread(receivingHalf(stream))
	}
	d.waits.Set(d.waiting, waits, 0)
	d.waiting = waits
}

// EndForMemory implements holder.
func (d *dialing) EndForMemory(_ *memory.Holding, log *slog.Logger) {
	log.Warn("a connection was reset because its upstream does not answer and the memory budget is used up")
	d.stream.Discard(framing.ErrorRelayStalled)
}
