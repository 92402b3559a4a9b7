package association

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
)

// listener is a connection that notes what the peer is told.
type listener struct {
	Conn
	ctx context.Context

	mu   sync.Mutex
	told map[uint64]int
}

func (l *listener) Context() context.Context { return l.ctx }
func (l *listener) Received() uint64         { return 0 }

func (l *listener) SendProgress(message *framing.Progress) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range message.Relays {
		l.told[p.Relay]++
	}
	return nil
}

// TestUnknownRelays: a peer that names relays that are not here is answered, and cannot fill the queue of answers; one that
// names relays that have not begun yet is not.
func TestUnknownRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		heard := &listener{ctx: ctx, told: make(map[uint64]int)}
		a, c := New(1, time.Minute), &Carrier{Conn: heard}
		a.Join(c)
		defer func() {
			end()
			a.Leave(c)
			c.Working.Wait()
		}()
		var message framing.Progress
		for i := range uint64(20_000) {
			a.seen.add(100 + i)
			message.Relays = append(message.Relays, &framing.RelayProgress{Relay: 100 + i}, &framing.RelayProgress{Relay: 1_000_000 + i})
		}
		a.Handle(c, &message)
		time.Sleep(time.Second)
		heard.mu.Lock()
		defer heard.mu.Unlock()
		for number, times := range heard.told {
			if number >= 1_000_000 || times != 1 {
				t.Fatalf("relay %d is called over %d times", number, times)
			}
		}
		if len(heard.told) != maxClosed {
			t.Errorf("%d answers went out", len(heard.told))
		}
	})
}
