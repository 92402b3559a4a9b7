package relay

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/memory"
)

// TestBlockingRead: a connection whose readiness cannot be waited for waits with a small buffer; a large one counts while
// it is held, and all bytes arrive.
func TestBlockingRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		budget := memory.New(1 << 30)
		relay := new(Relay)
		relay.Keeps = budget.Account(1).Open(relay)
		near, far := net.Pipe()
		defer near.Close()
		reader := blockingReader{conn: near, gate: readGate{relay}}
		var got []byte
		ended := make(chan error)
		go func() {
			for {
				p, err := reader.next()
				if err != nil {
					ended <- err
					return
				}
				got = append(got, p...)
				reader.gate.giveBack(p)
			}
		}()
		holds := func(when string, want int64) {
			t.Helper()
			synctest.Wait()
			if n := budget.Used(); n != want {
				t.Errorf("%s: %d bytes count, want %d", when, n, want)
			}
		}
		sent := bytes.Repeat([]byte("what is sent "), 20<<10)
		holds("idle", 0)
		far.Write(sent[:10])
		holds("after a little", 0)
		far.Write(sent[10 : 10+smallRead])
		holds("after as much as the small buffer takes", buffer.Size)
		time.Sleep(time.Minute)
		holds("it waits with the large one", buffer.Size)
		far.Write(sent[10+smallRead : 20+smallRead])
		holds("idle again", 0)
		far.Write(sent[20+smallRead:])
		far.Close()
		if err := <-ended; err != io.EOF || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes, then %v", len(got), len(sent), err)
		}
		holds("at the end", 0)
	})
}
